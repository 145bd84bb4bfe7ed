from pydantic import BaseModel, ConfigDict

from wire.types import ConfigObject, ConfigurationName, Revision


class Origin(BaseModel):
    """A layer, at the revision that was merged."""

    name: ConfigurationName
    revision: Revision


class ExplainedConfigResponse(BaseModel):
    """`origin` has, for each top-level key, the layers that made its value, in their order."""

    # Or it could not be told apart from a document.
    model_config = ConfigDict(extra="forbid")

    config: ConfigObject
    origin: dict[str, list[Origin]]
