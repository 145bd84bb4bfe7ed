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


class PatchContentItem(RequestModel):
    """A merge patch (RFC 7396) of a configuration: of its members only `comments` may be null."""

    comments: Comments | None = None
    config: Omissible[ConfigDocument] = None
    revision: Omissible[Annotated[int, Field(strict=True, ge=0, lt=10**18)]] = Field(
        default=None,
        description="The revision that it must be at; 0: it must not be there.",
        examples=[3],
        json_schema_extra={"format": "int64"},
    )


class PatchContentRequest(RequestModel):
    """What is to change in the configurations that it names. The others stay as they are."""

    configurations: Annotated[
        dict[ConfigurationKey, Annotated[PatchContentItem, Item] | None], InBatches
    ] = Field(
        description="By their names. Null deletes, and one that is not there is created.",
        examples=[
            {"defaults": {"config": {"retries": 3}}, "production": {"config": {"retries": 5}}}
        ],
    )


class PatchContentOperation(BaseModel):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = None


class PatchContentChange(BaseModel):
    """What was done to one configuration."""

    name: ConfigurationName
    action: Literal["create", "update", "delete"]
    revision: Revision
    patch: list[PatchContentOperation] = Field(
        description="What turns the `config` before into the one after; empty for a deletion."
    )


class PatchContentResponse(BaseModel):
    """What was done, in the order of the names, and the sequence of the last change."""

    sequence: Sequence
    changes: list[PatchContentChange]
