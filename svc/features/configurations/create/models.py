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
    config: ConfigDocument = Field(default_factory=lambda: "{}")


class CreateConfigurationResponse(BaseModel):
    """The configuration that was made."""

    id: ConfigurationId
    application_id: ApplicationId
    name: ConfigurationName
    comments: Comments | None
    config: ConfigObject
