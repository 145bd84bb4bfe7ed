"""How a route reads a request: strictly, and quickly where it declares nothing unusual.

FastAPI declares, validates and documents what a route takes. Only the walk through that is done
here, once for all when the route is made, because FastAPI repeats it for each request.
"""

import re
from asyncio import to_thread
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response

# Some of this is no public part of FastAPI: there is no other way to learn what a route declares,
# nor to render its response model. The tests hold a route of each kind beside FastAPI's own.
from fastapi._compat import ModelField, is_sequence_field
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import _get_flat_fields_from_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, serialize_response
from fastapi.utils import is_body_allowed_for_status_code
from starlette.routing import Match
from starlette.types import Scope

from wire.documents import Unreadable, read_object

LARGE_BODY_BYTES = 64 * 1024

# The quick way reads these of what a route declares, or need not know them.
_QUICK = {
    *("path_params", "query_params", "header_params", "body_params", "path"),
    *("request_param_name", "response_param_name", "call", "use_cache", "cache_key"),
}

Given = dict[str, list[str]]
type Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def invalid(*location: str | int, detail: str) -> RequestValidationError:
    """The refusal (400) of what stands at `location`, such as `"body", "application_id"`."""
    return RequestValidationError([{"type": "invalid", "loc": location, "msg": detail}])


class ExactRoute(APIRoute):
    """A route with a strict query and a strict JSON body, in which all of FastAPI works.

    A query parameter that is not declared, or is given twice where one counts, is refused (400),
    and so is a query that is not percent-encoded UTF-8. A JSON body is an object, and is read by
    `wire.documents`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._slashes = None if ":path}" in self.path else self.path.count("/")
        self._head = self.path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Starlette's hook: spares the regular expression where the path cannot be it."""
        path: str = scope["path"]
        if self._slashes not in (path.count("/"), None) or not path.startswith(self._head):
            return Match.NONE, {}
        # The prefix (`root_path`) is gone from the path: Starlette must not take it off once more.
        return super().matches({**scope, "root_path": ""} if scope.get("root_path") else scope)

    def get_route_handler(self) -> Handler:
        """FastAPI's hook: what answers a request."""
        return _quick(self) if _is_plain(self) else _complete(self, super().get_route_handler())


def _is_plain(route: APIRoute) -> bool:
    """Whether the quick way does all that the route declares.

    It names what that can do, so that whatever else FastAPI has, now or later, is left to FastAPI.
    """
    declared, body = route.dependant, route.body_field
    return (
        not any(value for name, value in vars(declared).items() if name not in _QUICK)
        # One model may stand for all parameters of a kind, and several parameters for one body.
        and all(_get_flat_fields_from_params([one]) == [one] for one in _parameters(declared))
        and declared.body_params == ([] if body is None else [body])
        and (body is None or (body.required and not isinstance(body.field_info, Form)))
        and iscoroutinefunction(route.endpoint)
        and isinstance(route.response_class, DefaultPlaceholder)
    )


def _parameters(declared: Dependant) -> list[ModelField]:
    return [*declared.path_params, *declared.query_params, *declared.header_params]


def _query_fields(declared: Dependant) -> Iterator[ModelField]:
    """The query parameters of what is declared, and of all that it depends on."""
    yield from _get_flat_fields_from_params(declared.query_params)
    for dependency in declared.dependencies:
        yield from _query_fields(dependency)


def _complete(route: APIRoute, handler: Handler) -> Handler:
    """FastAPI's own `handler`, behind the strict reading of the query and of a JSON body."""
    many = {field.alias: is_sequence_field(field) for field in _query_fields(route.dependant)}
    body = route.body_field
    reads_json = body is not None and not isinstance(body.field_info, Form)

    async def complete(request: Request) -> Response:
        if reads_json:
            request = _StrictRequest(request.scope, request.receive)
            if await request.body():
                await request.json()  # FastAPI itself would not tell where the body is wrong
        _query(request.scope["query_string"], many)
        return await handler(request)

    return complete


class _StrictRequest(Request):
    """A request whose JSON is an object, read by `wire.documents`."""

    async def json(self) -> Any:
        """The members of the body. Raises RequestValidationError."""
        if not hasattr(self, "_json"):
            self._json = await _members(await self.body())
        return self._json


def _quick(route: APIRoute) -> Handler:
    """What answers the requests of a plain route."""
    parameters = [_Parameter.of(field) for field in _parameters(route.dependant)]
    headers = {one.alias.encode() for one in parameters if one.origin == "header"}
    many = {one.alias: one.many for one in parameters if one.origin == "query"}
    body_field, function, status = route.body_field, route.endpoint, route.status_code or 200
    request_name = route.dependant.request_param_name
    response_name = route.dependant.response_param_name
    option = "response_model_"
    rendering = {
        name.removeprefix(option): value
        for name, value in vars(route).items()
        if name.startswith(option)
    }

    async def quick(request: Request) -> Response:
        scope, values, errors = request.scope, dict[str, Any](), list[Any]()
        members = None if body_field is None else await _members(await request.body())
        query, sent = _query(scope["query_string"], many), Given()
        for name, value in scope["headers"] if headers else []:
            if name in headers:
                sent.setdefault(name.decode(), []).append(value.decode("latin-1"))
        path = {name: [value] for name, value in scope["path_params"].items()}
        given = {"path": path, "query": query, "header": sent}
        for one in parameters:
            one.read(given[one.origin].get(one.alias), values, errors)
        if body_field is not None:
            values[body_field.name], wrong = body_field.validate(members, values, loc=("body",))
            errors.extend(wrong or [])
        if errors:
            raise RequestValidationError(errors)
        if request_name:
            values[request_name] = request
        if response_name:
            values[response_name] = Response(status_code=status)
        result = await function(**values)
        if isinstance(result, Response):
            return result
        content = await serialize_response(
            field=route.response_field, response_content=result, **rendering
        )
        draft = values[response_name] if response_name else Response(status_code=status)
        response = JSONResponse(content, draft.status_code)
        if not is_body_allowed_for_status_code(draft.status_code):
            response.body = b""
        response.headers.raw.extend(one for one in draft.headers.raw if one[0] != b"content-length")
        return response

    return quick


@dataclass(frozen=True, slots=True)
class _Parameter:
    """One parameter of a path, a query or a header, as it was declared."""

    field: ModelField
    name: str
    alias: str
    origin: str
    location: tuple[str, str]
    many: bool

    @classmethod
    def of(cls, field: ModelField) -> "_Parameter":
        origin = field.field_info.in_.value  # type: ignore[attr-defined]
        alias = field.alias.lower() if origin == "header" else field.alias
        location = (origin, field.alias)
        return cls(field, field.name, alias, origin, location, is_sequence_field(field))

    def read(self, given: list[str] | None, values: dict[str, Any], errors: list[Any]) -> None:
        """Puts the value into `values`, or what is wrong with it into `errors`."""
        if given is not None:
            value = given if self.many else given[0]
            values[self.name], wrong = self.field.validate(value, values, loc=self.location)
            errors.extend(wrong or [])
        elif self.field.required:
            errors.extend(invalid(*self.location, detail="Field required").errors())
        else:
            values[self.name] = self.field.get_default()


async def _members(body: bytes) -> dict[str, Any]:
    """The members of the body; a large one is read beside the event loop, not to hold up others."""
    if not body:
        raise invalid("body", detail="Field required")
    try:
        large = len(body) > LARGE_BODY_BYTES
        return await to_thread(read_object, body) if large else read_object(body)
    except Unreadable as error:
        raise RequestValidationError(
            [
                {"type": "invalid", "loc": ("body", *where), "msg": detail}
                for where, detail in error.faults
            ]
        ) from None


def _query(query: bytes, many: dict[str, bool]) -> Given:
    """The values of the query's parameters.

    `many` has each that is declared, and whether it may be given more than once.
    """
    given = Given()
    if not query:
        return given
    try:
        if re.search(rb"%(?![0-9A-Fa-f]{2})", query):
            raise ValueError
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise invalid("query", detail="The query is not percent-encoded UTF-8") from None
    for name, value in pairs:
        if name not in many:
            raise invalid("query", name, detail="There is no such parameter here")
        if name in given and not many[name]:
            raise invalid("query", name, detail="This parameter counts once")
        given.setdefault(name, []).append(value)
    return given
