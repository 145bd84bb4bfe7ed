from pydantic import BaseModel, Field

from fields import Comments, Name, RequestModel, Ulid


class ReplaceApplicationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: Name
    comments: Comments | None = None
    id: Ulid = Field(default="", description="If given, the path's own.")
    configuration_ids: list[Ulid] = Field(default=[])


class ReplaceApplicationResponse(BaseModel):
    id: Ulid
    name: Name
    comments: Comments | None
