from typing import Literal

from pydantic import BaseModel

from wire.types import Comments, ConfigObject, Name, Revision, Timestamp, Ulid


class GetRevisionResponse(BaseModel):
    """The configuration as it was."""

    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
    revision: Revision
    action: Literal["create", "update", "delete", "rollback"]
    actor: str
    recorded_at: Timestamp
