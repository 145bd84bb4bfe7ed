from typing import Any

from pydantic import BaseModel

from fields import Comments, ConfigDocument, Name, RequestModel, Ulid


class CreateConfigurationRequest(RequestModel):
    application_id: Ulid
    name: Name
    comments: Comments | None = None
    config: ConfigDocument = "{}"


class CreateConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: dict[str, Any]
