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


class PatchConfigurationRequest(RequestModel):
    """A merge patch (RFC 7396): null removes, so that of these members only `comments` may be."""

    name: Omissible[ConfigurationName] = None
    comments: Comments | None = None
    config: Omissible[ConfigDocument] = None
    id: Omissible[ConfigurationId] = Field(default=None, description="If given, the path's own.")
    application_id: Omissible[ApplicationId] = Field(default=None, description="If given, its own.")


class PatchConfigurationResponse(BaseModel):
    """The configuration as it is now."""

    id: ConfigurationId
    application_id: ApplicationId
    name: ConfigurationName
    comments: Comments | None
    config: ConfigObject
