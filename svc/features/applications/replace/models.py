from pydantic import BaseModel, Field

from wire.types import (
    ApplicationId,
    ApplicationName,
    Comments,
    ConfigurationId,
    Omissible,
    RequestModel,
)


class ReplaceApplicationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: ApplicationName
    comments: Comments | None = None
    id: Omissible[ApplicationId] = Field(default=None, description="If given, the path's own.")
    configuration_ids: Omissible[list[ConfigurationId]] = Field(
        default=None, description="Changes nothing."
    )


class ReplaceApplicationResponse(BaseModel):
    """The application as it is now."""

    id: ApplicationId
    name: ApplicationName
    comments: Comments | None
