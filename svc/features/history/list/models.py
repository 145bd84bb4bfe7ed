from pydantic import BaseModel

from wire.types import Action, Actor, ConfigurationName, Note, Revision, Timestamp


class ListRevisionsResponse(BaseModel):
    """One revision of a page, without its document."""

    revision: Revision
    action: Action
    actor: Actor
    recorded_at: Timestamp
    name: ConfigurationName
    note: Note
