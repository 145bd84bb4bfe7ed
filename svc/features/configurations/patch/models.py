from pydantic import BaseModel

from wire.types import Comments, ConfigDocument, ConfigObject, Name, RequestModel, Ulid, left_out


class PatchConfigurationRequest(RequestModel):
    """A merge patch (RFC 7396): null removes, so that of these members only `comments` may be."""

    name: Name = left_out()
    comments: Comments | None = None
    config: ConfigDocument = left_out("{}")
    id: Ulid = left_out(description="If given, the path's own.")
    application_id: Ulid = left_out(description="If given, its own.")


class PatchConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
