from typing import Annotated

from pydantic import BaseModel, Field

from wire.types import Comments, ConfigObject, Name, RequestModel, Ulid


class RollbackConfigurationRequest(RequestModel):
    revision: Annotated[int, Field(strict=True, ge=1, lt=10**18, examples=[3])]


class RollbackConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
