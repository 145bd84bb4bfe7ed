from pydantic import BaseModel

from wire.types import Comments, ConfigDocument, ConfigObject, Name, RequestModel, Ulid, left_out


class ReplaceConfigurationRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    name: Name
    comments: Comments | None = None
    config: ConfigDocument
    id: Ulid = left_out(description="If given, the path's own.")
    application_id: Ulid = left_out(description="If given, its own.")


class ReplaceConfigurationResponse(BaseModel):
    id: Ulid
    application_id: Ulid
    name: Name
    comments: Comments | None
    config: ConfigObject
