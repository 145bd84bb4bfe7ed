from typing import Annotated

from pydantic import BaseModel, Field

from wire.types import Comments, ConfigDocument, ConfigObject, Name, RequestModel, Ulid


class CreateConfigurationRequest(RequestModel):
    application_id: Ulid
    name: Name
    comments: Comments | None = None
    config: Annotated[ConfigDocument, Field(json_schema_extra={"default": {}})] = "{}"


class CreateConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
