from typing import Annotated

from pydantic import BaseModel, Field

from wire.types import (
    ApplicationId,
    Comments,
    ConfigDocument,
    ConfigObject,
    ConfigurationId,
    ConfigurationName,
    RequestModel,
)


class CreateConfigurationRequest(RequestModel):
    """A configuration to be made; `config` is `{}` when left out."""

    application_id: ApplicationId
    name: ConfigurationName
    comments: Comments | None = None
    config: Annotated[ConfigDocument, Field(json_schema_extra={"default": {}})] = "{}"


class CreateConfigurationResponse(BaseModel):
    """The configuration that was made."""

    id: ConfigurationId
    application_id: ApplicationId
    name: ConfigurationName
    comments: Comments | None
    config: ConfigObject
