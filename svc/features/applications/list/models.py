from pydantic import BaseModel

from wire.types import ApplicationId, ApplicationName, Comments


class ListApplicationsResponse(BaseModel):
    """One application of a page."""

    id: ApplicationId
    name: ApplicationName
    comments: Comments | None
