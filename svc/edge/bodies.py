"""Checks a request's body while it arrives, before anything is parsed."""

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wire.route import ContentRoute

_JSON, _MERGE_PATCH = "application/json", "application/merge-patch+json"
_MEDIA_TYPES = {"POST": _JSON, "PUT": _JSON, "PATCH": _MERGE_PATCH}
_PARAMETERS = r'\s*(;\s*(charset=("?)utf-?8\3\s*)?)*'


def check(app: ASGIApp, limit: int, content_limit: int) -> ASGIApp:
    """Refuses a body that is not JSON by its headers (415) or larger than `limit` bytes, or than
    `content_limit` where it is the content of an application (413).

    It does so when a route reads the body, so that an unknown path stays a 404, and at the first
    byte that is too many, whatever Content-Length says.
    """

    async def checking(scope: Scope, receive: Receive, send: Send) -> None:
        if expected := _MEDIA_TYPES.get(scope.get("method", "")):
            receive = _checked(receive, scope, expected, limit, content_limit)
        await app(scope, receive, send)

    return checking


def _checked(
    receive: Receive, scope: Scope, expected: str, limit: int, content_limit: int
) -> Receive:
    headers, size = Headers(scope=scope), 0

    async def receiving() -> Message:
        nonlocal size
        # The route is known by now: it is what reads.
        most = content_limit if isinstance(scope.get("route"), ContentRoute) else limit
        if size == 0:
            _check_headers(headers, expected, most)
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise _too_large(most)
        return message

    return receiving


def _check_headers(headers: Headers, expected: str, limit: int) -> None:
    pattern = rf"\s*{re.escape(expected)}{_PARAMETERS}"
    content_type = ", ".join(headers.getlist("content-type"))
    if not re.fullmatch(pattern, content_type, re.IGNORECASE) or "content-encoding" in headers:
        accept = {"Accept-Patch": expected} if expected == _MERGE_PATCH else {}
        detail = f"The body must be {expected} in UTF-8, without a Content-Encoding."
        raise HTTPException(415, detail, accept)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"The body is larger than {limit} bytes.")
