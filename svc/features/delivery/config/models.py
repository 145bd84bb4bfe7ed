from typing import Annotated, Any

from pydantic import BaseModel, Field

from wire.types import ConfigObject, ConfigurationName, Revision


class Origin(BaseModel):
    """A layer, at the revision that was merged."""

    name: ConfigurationName
    revision: Revision


class ExplainedConfigResponse(BaseModel):
    """`origin` has, for each top-level key, the layers that made its value, in their order."""

    config: ConfigObject
    origin: dict[str, list[Origin]]


def _for_clients(schema: dict[str, Any]) -> None:
    """Generated clients fail at a choice between a model and an open object: what they see is the
    open object. `if` alone decides nothing; it brings along the model that `explain` has."""
    explained, _ = schema.pop("anyOf")
    schema |= {"type": "object", "additionalProperties": True, "if": explained}


GetConfigResponse = Annotated[
    ExplainedConfigResponse | ConfigObject,
    Field(
        description="The document; with `explain`, an `ExplainedConfigResponse`.",
        examples=[{"currency": "EUR", "retries": 3}],
        json_schema_extra=_for_clients,
    ),
]
