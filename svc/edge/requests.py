"""What every request has: an id, a line of log, a place in the metrics, and harmless headers."""

import re
import secrets
import time
from datetime import UTC, datetime
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge import access, logs, metrics
from wire import changes

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_POLICY = b"content-security-policy"
_NOTHING_RUNS = (_POLICY, b"default-src 'none'; frame-ancestors 'none'; sandbox")


def accompany(app: ASGIApp, level: str, form: str) -> ASGIApp:
    """Logs and counts each request, and sends its `X-Request-ID` back.

    Tells browsers not to guess the type of an answer, and to run nothing in it unless it is a page,
    which has a Content-Security-Policy of its own. Once an answer has begun, its `status` stands in
    the scope.
    """
    write = logs.writer().write if level in {"DEBUG", "INFO"} else None
    line = _json_line if form == "json" else _text_line
    # The prefix makes an id unique among all processes, the number within this one.
    prefix, numbers = secrets.token_hex(8), count(1)

    async def accompanying(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        began = time.perf_counter()
        given = [value for name, value in scope["headers"] if name == b"x-request-id"]
        usable = [value for value in given if _REQUEST_ID.fullmatch(value)]
        request_id = usable[0] if usable else f"{prefix}-{next(numbers)}".encode()
        # The next request of a connection may begin in the context of the one before.
        access.caller.set(access.ANONYMOUS)
        changes.asked.set(changes.AS_USUAL)

        async def completing(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["status"] = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id), _NO_SNIFFING]
                message["headers"] = headers
                if _POLICY not in dict(headers):
                    headers.append(_NOTHING_RUNS)
            await send(message)

        try:
            await app(scope, receive, completing)
        finally:
            seconds = time.perf_counter() - began
            method = scope.get("asked_as", scope["method"])
            method = method if method in METHODS else "other"
            route = _route(scope)
            status = scope.get("status", 499)  # without an answer: the client has gone
            labels = (("method", method), ("route", route), ("status", str(status)))
            metrics.observe(metrics.DURATION, seconds, labels)
            if write:
                told_id, actor = request_id.decode(), access.caller.get().actor
                write(line(told_id, method, route, status, 1000 * seconds, actor))

    return accompanying


def _json_line(id: str, method: str, route: str, status: int, ms: float, actor: str) -> str:
    """Put together by hand, which is quick; nothing in it needs escaping."""
    return (
        f'{{"time": "{datetime.now(UTC).isoformat(timespec="milliseconds")}", "level": "INFO",'
        f' "message": "request", "request_id": "{id}", "method": "{method}", "route": "{route}",'
        f' "status": {status}, "duration_ms": {ms:.3f}, "actor": "{actor}"}}\n'
    )


def _text_line(_: str, method: str, route: str, status: int, ms: float, actor: str) -> str:
    return f"{datetime.now(UTC):%H:%M:%S} INFO    {method} {route} {status} {ms:.3f} ms {actor}\n"


def _route(scope: Scope) -> str:
    """The template of the route: what the client wrote into the path is not logged."""
    if "endpoint" not in scope:
        return "unmatched"
    return str(scope["route"].path if "route" in scope else scope["path"])
