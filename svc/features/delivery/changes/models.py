from typing import Literal

from pydantic import BaseModel

from wire.types import Name, Revision, Sequence, Timestamp, Ulid


class Change(BaseModel):
    sequence: Sequence
    configuration_id: Ulid
    name: Name
    revision: Revision
    action: Literal["create", "update", "delete", "rollback"]
    actor: str
    recorded_at: Timestamp


class ListChangesResponse(BaseModel):
    """In the order in which they were committed; `next` is `after` of the next request."""

    changes: list[Change]
    next: Sequence
