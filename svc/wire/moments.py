"""A point in the history of an application: a sequence, or a time (RFC 3339)."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_SEQUENCE = "[0-9]{1,18}"
_TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _in_utc(time: str) -> datetime:
    # PostgreSQL knows offsets up to 15:59 only.
    return datetime.fromisoformat(time).astimezone(UTC)


def _moment(text: str | None) -> str | None:
    if text is None or re.fullmatch(_SEQUENCE, text):
        return text
    if re.fullmatch(_TIME, text.replace(" ", "+")) and text.count(" ") == 1:
        raise PydanticCustomError("moment", "A + is written %2B in a query: here it became a space")
    try:
        if not re.fullmatch(_TIME, text):
            raise ValueError
        _in_utc(text)
    except (ValueError, OverflowError):
        raise PydanticCustomError(
            "moment", "Input should be a sequence, or a time such as 2026-01-02T03:04:05Z"
        ) from None
    return text


At = Annotated[
    str | None,
    AfterValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": f"^({_SEQUENCE}|{_TIME})$", "examples": ["46"]}),
    Query(
        description="As it was with this change of the application (its sequence), or at this time"
        " (RFC 3339, such as `2026-01-02T03:04:05Z`)."
    ),
]
"""What `at` says, checked; None where there is none."""


def is_time(at: str) -> bool:
    """Whether it is a time, and not a sequence."""
    return not at.isdecimal()


def point(at: str) -> dict[str, Any]:
    """The values `sequence` and `time` of a statement, one of which is None."""
    if is_time(at):
        return {"sequence": None, "time": _in_utc(at)}
    return {"sequence": int(at), "time": None}
