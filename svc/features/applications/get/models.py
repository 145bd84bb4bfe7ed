from pydantic import BaseModel

from wire.types import Comments, Name, Ulid


class GetApplicationResponse(BaseModel):
    id: Ulid
    name: Name
    comments: Comments | None
    configuration_ids: list[Ulid]
