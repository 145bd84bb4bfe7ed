"""How a route reads a request: it takes what it declares and nothing else, and quickly.

FastAPI declares, validates and documents the parameters; only the walk through them is done here,
once for all when the route is made, because FastAPI repeats it for each request.
"""

import re
from asyncio import to_thread
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi._compat import ModelField, get_missing_field_error, is_sequence_field
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, serialize_response
from starlette.routing import Match
from starlette.types import Scope

from wire.documents import NotJson, Unstorable, read_object

LARGE_BODY_BYTES = 64 * 1024

Given = dict[str, list[str]]


def invalid(*location: str | int, detail: str) -> RequestValidationError:
    """The refusal (400) of what stands at `location`, such as `"body", "application_id"`."""
    return RequestValidationError([{"type": "invalid", "loc": location, "msg": detail}])


class ExactRoute(APIRoute):
    """A route whose JSON body is read by `strict_json`.

    A query parameter that is not declared, or is given twice where one counts, is refused, and so
    is a query that is not percent-encoded UTF-8. Dependencies, cookies and forms are not offered.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._slashes, self._head = self.path.count("/"), self.path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Starlette's hook: spares the regular expression where the path cannot be it."""
        path: str = scope["path"]
        if path.count("/") != self._slashes or not path.startswith(self._head):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's hook: what answers a request."""
        declared = get_flat_dependant(self.dependant)
        query = [_Parameter.of(field, "query") for field in declared.query_params]
        headers = [_Parameter.of(field, "header") for field in declared.header_params]
        path = [_Parameter.of(field, "path") for field in declared.path_params]
        wanted = {one.alias.encode() for one in headers}
        answer_of = _answer(self)

        async def exact(request: Request) -> Response:
            scope, values, errors = request.scope, dict[str, Any](), list[Any]()
            body = None
            if self.body_field is not None:
                body = await _members(await request.body())
            given = _query(scope["query_string"], query)
            for one in path:
                one.read([scope["path_params"][one.alias]], values, errors)
            for one in query:
                one.read(given.get(one.alias), values, errors)
            if headers:
                found = Given()
                for name, value in scope["headers"]:
                    if name in wanted:
                        found.setdefault(name.decode(), []).append(value.decode("latin-1"))
                for one in headers:
                    one.read(found.get(one.alias), values, errors)
            if self.body_field is not None:
                value, wrong = self.body_field.validate(body, values, loc=("body",))
                values[self.body_field.name] = value
                errors.extend(wrong or [])
            if errors:
                raise RequestValidationError(errors)
            return await answer_of(request, values)

        return exact


def _answer(
    route: APIRoute,
) -> Callable[[Request, dict[str, Any]], Coroutine[Any, Any, Response]]:
    """Calls the route's function, and makes a response of what it returns."""
    function = route.endpoint
    response_name = route.dependant.response_param_name
    request_name = route.dependant.request_param_name

    async def answer(request: Request, values: dict[str, Any]) -> Response:
        if response_name:
            values[response_name] = Response()
        if request_name:
            values[request_name] = request
        result = await function(**values)
        if isinstance(result, Response):
            return result
        content = await serialize_response(field=route.response_field, response_content=result)
        response = JSONResponse(content, route.status_code or 200)
        if response_name:
            sent_along = values[response_name].headers.raw
            response.headers.raw.extend(pair for pair in sent_along if pair[0] != b"content-length")
        return response

    return answer


@dataclass(frozen=True, slots=True)
class _Parameter:
    """One parameter of a query, a header or a path, as it was declared."""

    field: ModelField
    name: str
    alias: str
    location: tuple[str, str]
    many: bool
    default: Any

    @classmethod
    def of(cls, field: ModelField, origin: str) -> "_Parameter":
        location = (origin, field.alias)
        many, default = is_sequence_field(field), None if field.required else field.get_default()
        return cls(field, field.name, field.alias, location, many, default)

    def read(self, given: list[str] | None, values: dict[str, Any], errors: list[Any]) -> None:
        """Puts the value into `values`, or what is wrong with it into `errors`."""
        if given is not None:
            value = given if self.many else given[0]
            values[self.name], wrong = self.field.validate(value, values, loc=self.location)
            errors.extend(wrong or [])
        elif self.field.required:
            errors.append(get_missing_field_error(loc=self.location))
        else:
            values[self.name] = self.default


async def _members(body: bytes) -> dict[str, Any]:
    """The members of the body; a large one is read beside the event loop, not to hold up others."""
    if not body:
        raise RequestValidationError([get_missing_field_error(loc=("body",))])
    try:
        large = len(body) > LARGE_BODY_BYTES
        return await to_thread(read_object, body) if large else read_object(body)
    except NotJson as error:
        raise invalid("body", detail=str(error)) from None
    except Unstorable as error:
        raise RequestValidationError(
            [
                {"type": "unstorable", "loc": ("body", *where), "msg": f"This {reason}"}
                for where, reason in error.faults
            ]
        ) from None


def _query(query: bytes, declared: list[_Parameter]) -> Given:
    given = Given()
    if not query:
        return given
    try:
        if re.search(rb"%(?![0-9A-Fa-f]{2})", query):
            raise ValueError
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise invalid("query", detail="The query is not percent-encoded UTF-8") from None
    many = {one.alias: one.many for one in declared}
    for name, value in pairs:
        if name not in many:
            raise invalid("query", name, detail="There is no such parameter here")
        if name in given and not many[name]:
            raise invalid("query", name, detail="This parameter counts once")
        given.setdefault(name, []).append(value)
    return given
