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


class PatchConfigurationRequest(RequestModel):
    """A merge patch (RFC 7396): null removes, so that of these members only `comments` may be."""

    name: Omissible[Name] = None
    comments: Comments | None = None
    config: Omissible[ConfigDocument] = None
    id: Omissible[Ulid] = Field(default=None, description="If given, the path's own.")
    application_id: Omissible[Ulid] = Field(default=None, description="If given, its own.")


class PatchConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
