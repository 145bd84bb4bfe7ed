from typing import Any, Literal

from pydantic import BaseModel


class DiffRevisionsResponse(BaseModel):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = None
