"""The preferences of a request (RFC 7240)."""

import re
from typing import Annotated

from fastapi import Header, Request
from pydantic import WithJsonSchema

Prefer = Annotated[
    list[str] | None, WithJsonSchema({"type": "string"}), Header(examples=["wait=30"])
]
"""The preferences of the request (RFC 7240)."""


def wait_seconds(request: Request, prefer: list[str] | None) -> int | None:
    """How long the request prefers to wait (`wait=30`), at most MAX_WAIT_SECONDS; None: not at all.

    A preference that is not understood counts as not given (RFC 7240 §2).
    """
    for preference in ",".join(prefer or []).split(","):
        match = re.fullmatch(r'wait\s*=\s*"?([0-9]{1,9})"?', preference.split(";")[0].strip(), re.I)
        if match:
            return min(int(match[1]), int(request.app.state.settings.max_wait_seconds))
    return None
