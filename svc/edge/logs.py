"""One line of log for each request, and every other line in the same form."""

import asyncio
import json
import logging
import re
import secrets
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from traceback import format_tb
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from database import Caller
from edge import access, metrics

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler])
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # The requests are told below, by their route: a path would hold what was looked for.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False


class Request(NamedTuple):
    """What is told of a request. No field has a character that JSON would have to escape."""

    request_id: str
    method: str
    route: str
    status: int
    duration_ms: float
    actor: str


def json_line(it: Request) -> str:
    """The line of a request as JSON; put together by hand, for there is one with each request."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return (
        f'{{"time": "{at}", "level": "INFO", "message": "request",'
        f' "request_id": "{it.request_id}", "method": "{it.method}", "route": "{it.route}",'
        f' "status": {it.status}, "duration_ms": {it.duration_ms:.3f}, "actor": "{it.actor}"}}\n'
    )


def text_line(it: Request) -> str:
    """The line of a request for a person at a terminal."""
    at = datetime.now(UTC)
    return (
        f"{at:%H:%M:%S} INFO    {it.method} {it.route} {it.status}"
        f" {it.duration_ms:.3f} ms {it.actor}\n"
    )


class Requests:
    """Logs and counts each request, and sends its `X-Request-ID` back."""

    def __init__(self, app: ASGIApp, level: str, format: str) -> None:
        self._app = app
        self._line = json_line if format == "json" else text_line
        self._tells = level in {"DEBUG", "INFO"}
        self._untold = list[str]()
        first = secrets.token_hex(8)
        # Unique by its first part, and cheap by its second.
        self._ids = (f"{first}-{number}".encode() for number in count(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = next(
            (value for name, value in scope["headers"] if name == b"x-request-id"), b""
        )
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = next(self._ids)
        before = access.caller.set(Caller())
        status = 499  # nobody was there to be answered

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            seconds = time.perf_counter() - began
            method = scope.get("asked_as", scope["method"])
            method = method if method in METHODS else "other"
            route = _route(scope)
            metrics.count_request(method, route, status, seconds)
            if self._tells:
                actor = access.caller.get().actor
                it = Request(request_id.decode(), method, route, status, seconds * 1000, actor)
                self._tell(self._line(it))
            access.caller.reset(before)

    def _tell(self, line: str) -> None:
        """Writes the line, with those that are told until the event loop comes round."""
        if not self._untold:
            asyncio.get_running_loop().call_soon(self._write)
        self._untold.append(line)

    def _write(self) -> None:
        lines, self._untold = "".join(self._untold), []
        with suppress(OSError):  # who reads the log has gone; the answers were sent
            sys.stderr.write(lines)


def _route(scope: Scope) -> str:
    """The template of the route that was found, so that no value of the path is told."""
    if "route" in scope:
        return str(scope["route"].path)
    return str(scope["path"]) if "endpoint" in scope else "unmatched"
