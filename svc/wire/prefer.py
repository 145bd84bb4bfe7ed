"""The preferences of a request (RFC 7240)."""

import re
from collections.abc import Iterator
from typing import Annotated

from fastapi import Header, Request
from pydantic import WithJsonSchema

Prefer = Annotated[
    list[str] | None,
    WithJsonSchema({"type": "string", "examples": ["wait=30"]}),
    Header(description="`wait=30`: waits so many seconds for another answer than a 304."),
]
"""The preferences of the request (RFC 7240)."""

# One preference with its parameters, up to its comma; between quotes a comma is text. No repetition
# gives back what it took (`*+`), so that a preference is read once, even where a quote is missing.
_PREFERENCE = re.compile(r'((?:[^",]|"(?:[^"\\]|\\.)*+")*+),', re.DOTALL)
_SECONDS = re.compile(r'("?)([0-9]{1,9})\1')


def wait_seconds(request: Request, prefer: list[str] | None) -> int | None:
    """How long the request prefers to wait (`wait=30`), in seconds, at most MAX_WAIT_SECONDS.

    None means not at all: a preference that is not understood counts as not given, and of several
    with one name the first counts (RFC 7240 §2).
    """
    for preference in _preferences(prefer or []):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip(" \t").lower() == "wait":
            seconds = _SECONDS.fullmatch(value.strip(" \t"))
            longest: int = request.app.state.settings.max_wait_seconds
            return min(int(seconds[2]), longest) if seconds else None
    return None


def _preferences(lines: list[str]) -> Iterator[str]:
    """The preferences of the header's lines, up to where a quoted string has no end."""
    text, at = ", ".join([*lines, ""]), 0
    while preference := _PREFERENCE.match(text, at):
        yield preference[1]
        at = preference.end()
