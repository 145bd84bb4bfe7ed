from pydantic import BaseModel, Field

from wire.types import Comments, Name, Omissible, RequestModel, Ulid


class ReplaceApplicationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: Name
    comments: Comments | None = None
    id: Omissible[Ulid] = Field(default=None, description="If given, the path's own.")
    configuration_ids: Omissible[list[Ulid]] = None


class ReplaceApplicationResponse(BaseModel):
    id: Ulid
    name: Name
    comments: Comments | None
