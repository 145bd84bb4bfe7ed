"""One line of log for each request, and every other line in the same form."""

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

import database
import metrics

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
FIELDS = ("request_id", "method", "route", "status", "duration_ms", "actor")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_log = logging.getLogger("config_service.requests")


class JsonLines(logging.Formatter):
    """`time` (RFC 3339, UTC), `level`, `message`, and the fields of a request.

    An exception is told by its class and the places it passed: its text may hold a document.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        line |= getattr(record, "request", {})
        return json.dumps(line)


class TextLines(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of text, or several of a message that has them."""
        request = getattr(record, "request", None)
        message = record.getMessage()
        if request:
            message = "{method} {route} {status} {duration_ms} ms {actor}".format(**request)
        at = datetime.fromtimestamp(record.created, UTC)
        return f"{at:%H:%M:%S} {record.levelname:7} {message}"


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


class Requests:
    """Logs and counts each request, and sends its `X-Request-ID` back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
            request_id = str(ULID()).encode()
        status = 499  # nobody was there to be answered
        actor = database.actor.set("anonymous")

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
            if _log.isEnabledFor(logging.INFO):
                values = (
                    request_id.decode(),
                    method,
                    route,
                    status,
                    round(seconds * 1000, 3),
                    database.actor.get(),
                )
                request = dict(zip(FIELDS, values, strict=True))
                _log.info("request", extra={"request": request})
            database.actor.reset(actor)


def _route(scope: Scope) -> str:
    """The template of the route that was found, so that no value of the path is told."""
    if "route" in scope:
        return str(scope["route"].path)
    return str(scope["path"]) if "endpoint" in scope else "unmatched"
