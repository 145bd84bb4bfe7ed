from typing import Any

from pydantic import BaseModel

from fields import Comments, Name, Ulid


class GetConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: dict[str, Any]
