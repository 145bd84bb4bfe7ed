from typing import Annotated

from pydantic import BaseModel, Field

from fields import Comments, ConfigDocument, ConfigObject, Name, RequestModel, Ulid


class ReplaceConfigurationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: Name
    comments: Comments | None = None
    config: ConfigDocument
    id: Annotated[Ulid | None, Field(description="If given, the path's own.")] = None
    application_id: Annotated[Ulid | None, Field(description="If given, its own.")] = None


class ReplaceConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
