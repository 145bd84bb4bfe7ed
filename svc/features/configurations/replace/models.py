from pydantic import BaseModel, Field

from wire.types import (
    ApplicationId,
    Comments,
    ConfigDocument,
    ConfigObject,
    ConfigurationId,
    ConfigurationName,
    Omissible,
    RequestModel,
)


class ReplaceConfigurationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: ConfigurationName
    comments: Comments | None = None
    config: ConfigDocument
    id: Omissible[ConfigurationId] = Field(default=None, description="If given, the path's own.")
    application_id: Omissible[ApplicationId] = Field(default=None, description="If given, its own.")


class ReplaceConfigurationResponse(BaseModel):
    """The configuration as it is now."""

    id: ConfigurationId
    application_id: ApplicationId
    name: ConfigurationName
    comments: Comments | None
    config: ConfigObject
