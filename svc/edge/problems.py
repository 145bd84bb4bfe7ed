"""Turns every error into problem details (RFC 9457)."""

import logging
import traceback
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import database

MAX_ERRORS = 20
MAX_POINTER = 1024

_log = logging.getLogger("config_service")


def problem(
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """An answer of `status` as `application/problem+json`."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors is not None:
        body["errors"] = errors
    return JSONResponse(body, status, headers, "application/problem+json")


def _place(location: tuple[str | int, ...]) -> dict[str, str]:
    """`pointer` (RFC 6901) into the body, or `parameter`, for a location as Pydantic gives it."""
    origin, *path = location or ("body",)
    if origin != "body":
        return {"parameter": str(path[0])[:MAX_POINTER]} if path else {}
    pointer = ""
    for step in path:
        longer = f"{pointer}/{str(step).replace('~', '~0').replace('/', '~1')}"
        if len(longer) > MAX_POINTER:
            break  # keys come from the client: a long one is not sent back, its parent is named
        pointer = longer
    return {"pointer": pointer}


async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    errors = [
        {**_place(tuple(one["loc"])), "detail": f"{one['msg']}."}
        for one in error.errors()[:MAX_ERRORS]
    ]
    return problem(400, "The request is not valid: see errors.", errors=errors)


async def _unavailable(_: Request, error: database.Unavailable) -> JSONResponse:
    return problem(503, str(error), headers={"Retry-After": "1"})


async def _value_refused(_: Request, error: database.ValueRefused) -> JSONResponse:
    return problem(400, str(error))


def _allowed(request: Request) -> str:
    """All methods of the request's path: the framework names only those of one route."""
    methods = {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods
    }
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def _hung_up(_: Request, __: ClientDisconnect) -> JSONResponse:
    return problem(400, "The client hung up before its body was complete.")


async def _refused(request: Request, error: HTTPException) -> JSONResponse:
    headers = dict(error.headers or {})
    detail = error.detail
    if error.status_code == 405:
        headers["Allow"] = _allowed(request)
        detail = f"This path has no {request.method}."
    elif error.status_code == 404 and request.scope.get("route") is None:
        detail = "There is no such path."
    return problem(error.status_code, detail, headers=headers)


class UnexpectedErrors:
    """Answers 500 to every exception that nothing else has handled, and logs it.

    The log has the exception's class and the places it passed, never its text: psycopg2's holds
    values of the document.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            places = "".join(traceback.format_tb(error.__traceback__))
            _log.error("unexpected %s at\n%s", _named(error), places)
            if started:
                raise _Cut from None
            answer = problem(500, "The service failed unexpectedly; the log says where.")
            await answer(scope, receive, send)


class _Cut(Exception):
    """The answer had begun: the server can only cut the connection."""


def _named(error: Exception) -> str:
    sqlstate = getattr(error, "pgcode", None)
    return type(error).__name__ + (f" (SQLSTATE {sqlstate})" if sqlstate else "")


# FastAPI's `exception_handlers`.
HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    RequestValidationError: _invalid,
    database.Unavailable: _unavailable,
    database.ValueRefused: _value_refused,
    ClientDisconnect: _hung_up,
    HTTPException: _refused,
}
