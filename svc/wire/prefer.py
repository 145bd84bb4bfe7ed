"""The preferences of a request (RFC 7240)."""

import re
from typing import Annotated

from fastapi import Header, Request
from pydantic import WithJsonSchema

Prefer = Annotated[
    list[str] | None,
    WithJsonSchema({"type": "string", "examples": ["wait=30"]}),
    Header(description="`wait=30`: waits so many seconds for another answer than a 304."),
]
"""The preferences of the request (RFC 7240)."""

# A preference with its parameters, and the comma behind it; between quotes a comma is text. Where a
# quote is missing, the rest of the text stands in the comma's place. No repetition gives back what
# it took (`*+`), so that the text is read once.
_PREFERENCE = re.compile(r'((?:[^",]|"(?:[^"\\]|\\.)*+")*+)(,|".*)', re.DOTALL)
_SECONDS = re.compile(r'("?)([0-9]{1,9})\1')


def wait_seconds(request: Request, prefer: list[str] | None) -> int | None:
    """How long the request prefers to wait (`wait=30`), in seconds, at most MAX_WAIT_SECONDS.

    None means not at all: a preference that is not understood counts as not given, and of several
    with one name the first counts (RFC 7240 §2).
    """
    for preference, comma in _PREFERENCE.findall(", ".join([*(prefer or []), ""])):
        name, _, value = preference.partition(";")[0].partition("=")
        if comma == "," and name.strip(" \t").lower() == "wait":
            seconds = _SECONDS.fullmatch(value.strip(" \t"))
            longest: int = request.app.state.settings.max_wait_seconds
            return min(int(seconds[2]), longest) if seconds else None
    return None
