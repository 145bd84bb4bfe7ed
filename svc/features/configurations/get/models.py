from pydantic import BaseModel

from fields import Comments, ConfigObject, Name, Ulid


class GetConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
