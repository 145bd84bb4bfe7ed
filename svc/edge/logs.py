"""One line of log for each request, and every other line in the same form."""

import json
import logging
import re
import secrets
import time
from datetime import UTC, datetime
from itertools import count
from traceback import format_tb

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from database import Caller
from edge import access, lines, metrics

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class JsonLines(logging.Formatter):
    """`time` (RFC 3339, UTC), `level` and `message`.

    Of an exception only its class and the places it passed are logged: its text may hold a
    document.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": at, "level": record.levelname, "message": _message(record)})


def _message(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return record.getMessage()
    kind, _, places = record.exc_info
    return f"{record.getMessage()}: {kind.__name__} at\n{''.join(format_tb(places))}"


class TextLines(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of text, or several of a message that has them."""
        at = datetime.fromtimestamp(record.created, UTC)
        return f"{at:%H:%M:%S} {record.levelname:7} {_message(record)}"


def install(level: str, format: str) -> None:
    """Makes all loggers, uvicorn's too, write to standard error in this form."""
    handler = logging.StreamHandler(lines.writer())
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler])
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # Requests are logged below by their routes: uvicorn's lines hold the path and the query.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False


def json_line(request_id: str, method: str, route: str, status: int, ms: float, actor: str) -> str:
    """The line of a request. Put together by hand, which is quick; nothing in it needs escaping."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return (
        f'{{"time": "{at}", "level": "INFO", "message": "request", "request_id": "{request_id}",'
        f' "method": "{method}", "route": "{route}", "status": {status},'
        f' "duration_ms": {ms:.3f}, "actor": "{actor}"}}\n'
    )


def text_line(_: str, method: str, route: str, status: int, ms: float, actor: str) -> str:
    """The same for a person at a terminal, without the id."""
    at = datetime.now(UTC)
    return f"{at:%H:%M:%S} INFO    {method} {route} {status} {ms:.3f} ms {actor}\n"


class RequestLog:
    """Logs and counts each request, and sends its `X-Request-ID` back."""

    def __init__(self, app: ASGIApp, level: str, format: str) -> None:
        self._app = app
        self._line = json_line if format == "json" else text_line
        self._write = lines.writer().write
        self._is_on = level in {"DEBUG", "INFO"}
        # The prefix makes an id unique among all processes, the number within this one.
        prefix = secrets.token_hex(8)
        self._ids = (f"{prefix}-{number}".encode() for number in count(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                request_id = value
                break
        else:
            request_id = next(self._ids)
        before = access.caller.set(Caller())
        status = 499  # unless there is an answer: the client has gone

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            seconds = time.perf_counter() - began
            method = scope.get("asked_as", scope["method"])
            method = method if method in METHODS else "other"
            route = _route(scope)
            labels = (("method", method), ("route", route), ("status", str(status)))
            metrics.observe(metrics.DURATION, seconds, labels)
            if self._is_on:
                actor, ms = access.caller.get().actor, 1000 * seconds
                self._write(self._line(request_id.decode(), method, route, status, ms, actor))
            access.caller.reset(before)


def _route(scope: Scope) -> str:
    """The template of the route: what the client wrote into the path is not logged."""
    if "route" in scope:
        return str(scope["route"].path)
    return str(scope["path"]) if "endpoint" in scope else "unmatched"
