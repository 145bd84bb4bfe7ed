from pydantic import BaseModel, Field

from wire.types import (
    Comments,
    ConfigDocument,
    ConfigObject,
    Name,
    Omissible,
    RequestModel,
    Ulid,
)


class ReplaceConfigurationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: Name
    comments: Comments | None = None
    config: ConfigDocument
    id: Omissible[Ulid] = Field(default=None, description="If given, the path's own.")
    application_id: Omissible[Ulid] = Field(default=None, description="If given, its own.")


class ReplaceConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
