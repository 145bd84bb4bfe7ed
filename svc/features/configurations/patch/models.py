from pydantic import BaseModel, Field

from fields import Comments, ConfigDocument, ConfigObject, Name, RequestModel, Ulid


class PatchConfigurationRequest(RequestModel):
    """A merge patch (RFC 7396): null removes, so that of these members only `comments` may be."""

    name: Name = Field(default="")
    comments: Comments | None = None
    config: ConfigDocument = Field(default="{}", json_schema_extra={"default": {}})
    id: Ulid = Field(default="", description="If given, the path's own.")
    application_id: Ulid = Field(default="", description="If given, its own.")


class PatchConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
