from pydantic import BaseModel

from fields import Comments, Name, Ulid


class ListApplicationsResponse(BaseModel):
    id: Ulid
    name: Name
    comments: Comments | None
