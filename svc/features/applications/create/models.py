from pydantic import BaseModel

from fields import Comments, Name, RequestModel, Ulid


class CreateApplicationRequest(RequestModel):
    name: Name
    comments: Comments | None = None


class CreateApplicationResponse(BaseModel):
    id: Ulid
    name: Name
    comments: Comments | None
