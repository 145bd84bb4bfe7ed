from typing import Any

from pydantic import BaseModel, Field

from wire.types import Action, Actor, ConfigurationName, Note, Revision, Timestamp


class ListRevisionsResponse(BaseModel):
    """One revision of a page, without its document."""

    revision: Revision
    action: Action
    actor: Actor
    recorded_at: Timestamp
    name: ConfigurationName
    note: Note
    value: Any = Field(default=None, description="With `path`: the value there, if there was one.")
