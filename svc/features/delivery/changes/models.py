from pydantic import BaseModel

from wire.types import (
    Action,
    Actor,
    ConfigurationId,
    ConfigurationName,
    Note,
    Revision,
    Sequence,
    Timestamp,
    Transaction,
)


class Change(BaseModel):
    """One change of one configuration."""

    sequence: Sequence
    configuration_id: ConfigurationId
    name: ConfigurationName
    revision: Revision
    action: Action
    actor: Actor
    recorded_at: Timestamp
    note: Note
    transaction: Transaction


class ListChangesResponse(BaseModel):
    """In the order in which they were committed; `next` is `after` of the next request."""

    changes: list[Change]
    next: Sequence
