from typing import Annotated

from pydantic import BaseModel, Field

from wire.types import (
    ApplicationId,
    Comments,
    ConfigObject,
    ConfigurationId,
    ConfigurationName,
    RequestModel,
)


class RollbackConfigurationRequest(RequestModel):
    """What the configuration is to be again."""

    revision: Annotated[
        int,
        Field(
            strict=True,
            ge=1,
            lt=10**18,
            description="The revision.",
            examples=[3],
            json_schema_extra={"format": "int64"},
        ),
    ]


class RollbackConfigurationResponse(BaseModel):
    """The configuration as it is now."""

    id: ConfigurationId
    application_id: ApplicationId
    name: ConfigurationName
    comments: Comments | None
    config: ConfigObject
