from pydantic import BaseModel

from wire.types import (
    Action,
    Actor,
    ApplicationId,
    Comments,
    ConfigObject,
    ConfigurationId,
    ConfigurationName,
    Note,
    Revision,
    Timestamp,
)


class GetRevisionResponse(BaseModel):
    """The configuration as it was."""

    id: ConfigurationId
    application_id: ApplicationId
    name: ConfigurationName
    comments: Comments | None
    config: ConfigObject
    revision: Revision
    action: Action
    actor: Actor
    recorded_at: Timestamp
    note: Note
