from typing import Annotated

from pydantic import BaseModel, Field

from wire.types import (
    ApplicationId,
    CheckId,
    ConfigurationId,
    ConfigurationName,
    Different,
    Omissible,
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


class ReplaceCheckRequest(RequestModel):
    """What GET returned may be sent back: the read-only members change nothing."""

    schema_id: Annotated[
        ConfigurationId,
        Field(description="The configuration of this application whose `config` is the schema."),
    ]
    layers: Layers
    optional: Optional
    id: Omissible[CheckId] = Field(default=None, description="If given, the path's own.")
    application_id: Omissible[ApplicationId] = Field(default=None, description="If given, its own.")


class ReplaceCheckResponse(BaseModel):
    """The check as it is now."""

    id: CheckId
    application_id: ApplicationId
    schema_id: ConfigurationId
    layers: list[ConfigurationName]
    optional: list[ConfigurationName]
