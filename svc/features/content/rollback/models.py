from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from wire.types import ConfigurationName, RequestModel, Revision, Sequence


class RollbackContentRequest(RequestModel):
    """The change of the application whose content is to come back."""

    sequence: Annotated[int, Field(strict=True, ge=0, lt=10**18)] = Field(
        description="The sequence of a change; 0 is before the first.",
        examples=[17],
        json_schema_extra={"format": "int64"},
    )


class RollbackContentOperation(BaseModel):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = None


class RollbackContentChange(BaseModel):
    """What was done to one configuration."""

    name: ConfigurationName
    action: Literal["rollback", "delete"]
    revision: Revision
    patch: list[RollbackContentOperation] = Field(
        description="What turns the `config` before into the one after; empty for a deletion."
    )


class RollbackContentResponse(BaseModel):
    """What was done, in the order of the names, and the sequence of the last change."""

    sequence: Sequence
    changes: list[RollbackContentChange]
