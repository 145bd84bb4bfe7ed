from pydantic import BaseModel

from wire.types import Comments, Name, RequestModel, Ulid, left_out


class ReplaceApplicationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: Name
    comments: Comments | None = None
    id: Ulid = left_out(description="If given, the path's own.")
    configuration_ids: list[Ulid] = left_out([])


class ReplaceApplicationResponse(BaseModel):
    id: Ulid
    name: Name
    comments: Comments | None
