from pydantic import BaseModel

from wire.types import Comments, Name, Ulid


class ListApplicationsResponse(BaseModel):
    id: Ulid
    name: Name
    comments: Comments | None
