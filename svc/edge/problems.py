"""Turns every error into problem details (RFC 9457)."""

import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

import database
from wire.refusals import Fault, Refused

MAX_ERRORS = 20
MAX_POINTER = 1024

_log = logging.getLogger("config_service")


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> JSONResponse:
    """An answer of `status` as `application/problem+json`, with these further members."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
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


def _shortened(faults: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """The same, each `pointer` no longer than MAX_POINTER."""
    shortened = []
    for fault in faults:
        pointer = fault["pointer"]
        while len(pointer) > MAX_POINTER:
            pointer = pointer.rpartition("/")[0]
        shortened.append({**fault, "pointer": pointer})
    return shortened


def _errors(faults: Iterable[Fault]) -> list[dict[str, str]]:
    return [{**_place(where), "detail": f"{what}."} for where, what in islice(faults, MAX_ERRORS)]


async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    faults = ((tuple(one["loc"]), one["msg"]) for one in error.errors())
    return problem(400, "The request is not valid: see errors.", errors=_errors(faults))


async def _unavailable(_: Request, error: database.Unavailable) -> JSONResponse:
    return problem(503, str(error), headers={"Retry-After": "1"})


async def _check_failed(_: Request, error: database.CheckFailed) -> JSONResponse:
    detail = "With this change a document would not be what a check wants: see errors."
    return problem(409, detail, type="urn:problem:check-failed", errors=_shortened(error.faults))


async def _check_in_use(_: Request, error: database.CheckInUse) -> JSONResponse:
    detail = f"This is the schema of the check {error.check}, and so cannot be deleted."
    return problem(409, detail, type="urn:problem:check-in-use")


async def _schema_refused(_: Request, error: database.SchemaRefused) -> JSONResponse:
    detail = "The schema of a check has something that is not supported: see errors."
    return problem(400, detail, errors=_shortened(error.faults))


async def _schema_too_large(_: Request, error: database.SchemaTooLarge) -> JSONResponse:
    return problem(413, str(error))


async def _unusable(_: Request, error: database.ValueRefused | ClientDisconnect) -> JSONResponse:
    # A hang-up has no text of its own.
    return problem(400, str(error) or "The client hung up before its body was complete.")


def _allowed(request: Request) -> str:
    """All methods of the request's path: the framework names only those of one route."""
    methods = {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods
    }
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def _refused(request: Request, error: HTTPException) -> JSONResponse:
    if error.status_code == 405:
        detail = f"This path has no {request.method}."
        return problem(405, detail, headers={"Allow": _allowed(request)})
    unknown = error.status_code == 404 and "route" not in request.scope
    detail = "There is no such path." if unknown else error.detail
    errors = _errors(error.errors) if isinstance(error, Refused) else []
    members = {"errors": errors} if errors else {}
    return problem(error.status_code, detail, headers=error.headers, **members)


def catch(app: ASGIApp) -> ASGIApp:
    """Answers 500 to every exception that nothing else has handled, and logs it; `logs.Lines` says
    what of it may be told."""

    async def catching(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception:
            if scope["type"] != "http":
                raise
            _log.exception("unexpected error")
            if "status" in scope:  # the answer has begun: the server can only cut the connection
                raise ConnectionAbortedError from None
            answer = problem(500, "The service failed unexpectedly; the log says where.")
            await answer(scope, receive, send)

    return catching


# FastAPI's `exception_handlers`.
HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    RequestValidationError: _invalid,
    database.Unavailable: _unavailable,
    database.CheckFailed: _check_failed,
    database.CheckInUse: _check_in_use,
    database.SchemaRefused: _schema_refused,
    database.SchemaTooLarge: _schema_too_large,
    database.ValueRefused: _unusable,
    ClientDisconnect: _unusable,
    HTTPException: _refused,
}
