from pydantic import BaseModel

from wire.types import ApplicationId, ApplicationName, Comments, ConfigurationId


class GetApplicationResponse(BaseModel):
    """An application, with the ids of its configurations, ascending."""

    id: ApplicationId
    name: ApplicationName
    comments: Comments | None
    configuration_ids: list[ConfigurationId]
