from typing import Annotated

from pydantic import BaseModel, Field

from fields import Comments, Name, RequestModel, Ulid


class ReplaceApplicationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: Name
    comments: Comments | None = None
    id: Annotated[Ulid | None, Field(description="If given, the path's own.")] = None
    configuration_ids: list[Ulid] | None = None


class ReplaceApplicationResponse(BaseModel):
    id: Ulid
    name: Name
    comments: Comments | None
