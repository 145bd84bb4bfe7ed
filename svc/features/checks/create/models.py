from typing import Annotated

from pydantic import BaseModel, Field

from wire.types import (
    ApplicationId,
    CheckId,
    ConfigurationId,
    ConfigurationName,
    Different,
    RequestModel,
)

Layers = Annotated[
    list[ConfigurationName],
    Different,
    Field(
        min_length=1,
        max_length=16,
        description="The layers that are merged, from left to right.",
        examples=[["defaults", "production"]],
    ),
]
Optional = Annotated[
    list[ConfigurationName],
    Different,
    Field(
        default_factory=list,
        description="Those of the layers that may be missing.",
        examples=[["production"]],
    ),
]


class CreateCheckRequest(RequestModel):
    """A JSON Schema, and the layers that it is for."""

    application_id: ApplicationId
    schema_id: Annotated[
        ConfigurationId,
        Field(description="The configuration of this application whose `config` is the schema."),
    ]
    layers: Layers
    optional: Optional


class CreateCheckResponse(BaseModel):
    """The check as it was created."""

    id: CheckId
    application_id: ApplicationId
    schema_id: ConfigurationId
    layers: list[ConfigurationName]
    optional: list[ConfigurationName]
