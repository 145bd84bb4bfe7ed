from pydantic import BaseModel

from wire.types import Comments, Name, RequestModel, Ulid


class CreateApplicationRequest(RequestModel):
    name: Name
    comments: Comments | None = None


class CreateApplicationResponse(BaseModel):
    id: Ulid
    name: Name
    comments: Comments | None
