from pydantic import BaseModel, Field

from fields import Comments, ConfigDocument, ConfigObject, Name, RequestModel, Ulid


class ReplaceConfigurationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: Name
    comments: Comments | None = None
    config: ConfigDocument
    id: Ulid = Field(default="", description="If given, the path's own.")
    application_id: Ulid = Field(default="", description="If given, its own.")


class ReplaceConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
