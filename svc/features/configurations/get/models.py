from pydantic import BaseModel

from wire.types import Comments, ConfigObject, Name, Ulid


class GetConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
