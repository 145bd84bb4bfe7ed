from pydantic import BaseModel

from wire.types import ApplicationId, ApplicationName, Comments, RequestModel


class CreateApplicationRequest(RequestModel):
    """An application to be made."""

    name: ApplicationName
    comments: Comments | None = None


class CreateApplicationResponse(BaseModel):
    """The application that was made."""

    id: ApplicationId
    name: ApplicationName
    comments: Comments | None
