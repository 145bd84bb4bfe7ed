"""What a client may add to any change: `dry_run`, to see what it would do, and a `note`, why.

A slice that changes configurations has `dependencies=[CHANGE]`, one that changes anything else
`dependencies=[DRY_RUN]`. That is all: the database then undoes what was only to be tried, and
history has the note.
"""

from contextvars import ContextVar
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Query
from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from wire.preconditions import entity_tag
from wire.types import NO_NUL


class Change(NamedTuple):
    """Why a request changes something (empty: it does not say), and whether it only tries to."""

    note: str = ""
    dry_run: bool = False


AS_USUAL = Change()

# How the request that is being answered changes something; the database is told.
asked = ContextVar("asked", default=AS_USUAL)


def _true_or_false(value: Any) -> bool:
    if value not in ("true", "false"):
        raise PydanticCustomError("true_or_false", "Input should be true or false")
    return bool(value == "true")


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul", "A note has no NUL character")
    return text


_DryRun = Annotated[
    bool,
    BeforeValidator(_true_or_false),
    Query(
        description="Answers as if it were done, with the `ETag` that it would start from, and"
        " changes nothing.",
        examples=[True],
    ),
]
_Note = Annotated[
    str,
    StringConstraints(strict=True, max_length=1024),
    AfterValidator(_without_nul),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 1024,
            "pattern": NO_NUL,
            "examples": ["Refunds count twice since 10:30"],
        }
    ),
    Query(description="Why it is changed; history keeps that."),
]


async def _try(dry_run: _DryRun = False) -> None:
    asked.set(Change(dry_run=dry_run))


async def _change(dry_run: _DryRun = False, note: _Note = "") -> None:
    asked.set(Change(note, dry_run))


DRY_RUN = Depends(_try)
"""Takes `dry_run`."""

CHANGE = Depends(_change)
"""Takes `dry_run` and `note`."""


def state(before: int | None, after: int | None) -> dict[str, str]:
    """The `ETag` that the answer to a change has: of the state `after` it, or where it was only
    tried, of the one `before`, which it was computed from. None stands for no state."""
    revision = before if asked.get().dry_run else after
    return {} if revision is None else {"ETag": entity_tag(revision)}
