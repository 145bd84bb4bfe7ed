from typing import Literal

from pydantic import BaseModel

from wire.types import Name, Revision, Timestamp


class ListRevisionsResponse(BaseModel):
    revision: Revision
    action: Literal["create", "update", "delete", "rollback"]
    actor: str
    recorded_at: Timestamp
    name: Name
