"""Checks a request's body while it arrives, before anything is parsed."""

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MEDIA_TYPES = {
    "POST": "application/json",
    "PUT": "application/json",
    "PATCH": "application/merge-patch+json",
}
_UTF_8 = re.compile(r'\s*(charset=("?)utf-?8\2\s*)?', re.IGNORECASE)


class Bodies:
    """Refuses a body that is not JSON by its headers (415) or larger than `limit` bytes (413).

    It does so when a route reads the body, so that an unknown path stays a 404, and at the first
    byte that is too many, whatever Content-Length says.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""
        expected = _MEDIA_TYPES.get(scope["method"]) if scope["type"] == "http" else None
        if expected is None:
            await self._app(scope, receive, send)
            return
        size = 0

        async def checked() -> Message:
            nonlocal size
            if size == 0:
                _check_headers(Headers(scope=scope), expected, self._limit)
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit:
                raise _too_large(self._limit)
            return message

        await self._app(scope, checked, send)


def _check_headers(headers: Headers, expected: str, limit: int) -> None:
    types = headers.getlist("content-type")
    media_type, *parameters = types[0].split(";") if len(types) == 1 else [""]
    if (
        media_type.strip().lower() != expected
        or not all(_UTF_8.fullmatch(parameter) for parameter in parameters)
        or "content-encoding" in headers
    ):
        accept = {"Accept-Patch": expected} if "merge-patch" in expected else {}
        detail = f"The body must be {expected} in UTF-8, without a Content-Encoding."
        raise HTTPException(415, detail, accept)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"The body is larger than {limit} bytes.")
