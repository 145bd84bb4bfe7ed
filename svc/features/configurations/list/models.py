from pydantic import BaseModel

from wire.types import Comments, Name, Ulid


class ListConfigurationsResponse(BaseModel):
    """Without `config`, so that a page stays small."""

    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
