from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from wire.types import (
    Comments,
    ConfigDocument,
    ConfigurationKey,
    ConfigurationName,
    InBatches,
    Item,
    Omissible,
    RequestModel,
    Revision,
    Sequence,
)


class ReplaceContentItem(RequestModel):
    """A configuration as it is to be."""

    comments: Comments | None = None
    config: ConfigDocument
    revision: Omissible[Annotated[int, Field(strict=True, ge=0, lt=10**18)]] = Field(
        default=None,
        description="As GET gives it; changes nothing.",
        examples=[3],
        json_schema_extra={"format": "int64"},
    )


class ReplaceContentRequest(RequestModel):
    """All configurations that there are to be. What GET returned may be sent back."""

    configurations: Annotated[
        dict[ConfigurationKey, Annotated[ReplaceContentItem, Item]], InBatches
    ] = Field(
        description="By their names.",
        examples=[{"production": {"config": {"retries": 5}}}],
    )
    sequence: Omissible[Annotated[int, Field(strict=True, ge=0, lt=10**18)]] = Field(
        default=None,
        description="As GET gives it; changes nothing.",
        examples=[46],
        json_schema_extra={"format": "int64"},
    )


class ReplaceContentOperation(BaseModel):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = None


class ReplaceContentChange(BaseModel):
    """What was done to one configuration."""

    name: ConfigurationName
    action: Literal["create", "update", "delete"]
    revision: Revision
    patch: list[ReplaceContentOperation] = Field(
        description="What turns the `config` before into the one after; empty for a deletion."
    )


class ReplaceContentResponse(BaseModel):
    """What was done, in the order of the names, and the sequence of the last change."""

    sequence: Sequence
    changes: list[ReplaceContentChange]
