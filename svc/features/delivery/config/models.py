from pydantic import BaseModel

from wire.types import ConfigObject, Name, Revision


class Origin(BaseModel):
    name: Name
    revision: Revision


class ExplainedConfigResponse(BaseModel):
    """`origin` has, for each top-level key, the layers that made its value, in their order."""

    config: ConfigObject
    origin: dict[str, list[Origin]]
