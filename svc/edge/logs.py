"""One line of log for each request, and every other line in the same form."""

import json
import logging
import re
import secrets
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from traceback import format_tb

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from database import Caller
from edge import access, lines, metrics

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

# The line of a request, without `json.dumps`: no value has a character that JSON would escape.
JSON_LINE = (
    '{"time": "%(time)s", "level": "INFO", "message": "request", "request_id": "%(request_id)s",'
    ' "method": "%(method)s", "route": "%(route)s", "status": %(status)d,'
    ' "duration_ms": %(duration_ms).3f, "actor": "%(actor)s"}\n'
)
TEXT_LINE = "%(clock)s INFO    %(method)s %(route)s %(status)d %(duration_ms).3f ms %(actor)s\n"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class JsonLines(logging.Formatter):
    """`time` (RFC 3339, UTC), `level` and `message`.

    An exception is told by its class and the places it passed: its text may hold a document.
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
    # Requests are logged below by their routes: uvicorn's lines hold the path and the query, those
    # about a WebSocket at the level DEBUG the headers too.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False
    logging.getLogger("uvicorn.error").addFilter(_is_not_about_a_websocket)


def _is_not_about_a_websocket(record: logging.LogRecord) -> bool:
    return Path(record.pathname).parent.name != "websockets"


class RequestLog:
    """Logs and counts each request, and sends its `X-Request-ID` back."""

    def __init__(self, app: ASGIApp, level: str, format: str) -> None:
        self._app = app
        self._line = JSON_LINE if format == "json" else TEXT_LINE
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
                at = datetime.now(UTC).isoformat(timespec="milliseconds")
                entry = {
                    "time": at,
                    "clock": at[11:19],
                    "request_id": request_id.decode(),
                    "method": method,
                    "route": route,
                    "status": status,
                    "duration_ms": seconds * 1000,
                    "actor": access.caller.get().actor,
                }
                self._write(self._line % entry)
            access.caller.reset(before)


def _route(scope: Scope) -> str:
    """The template of the route: what the client wrote into the path is not logged."""
    if "route" in scope:
        return str(scope["route"].path)
    return str(scope["path"]) if "endpoint" in scope else "unmatched"
