"""How a route reads a request: strictly, and quickly where it declares nothing unusual.

FastAPI declares, validates and documents what a route takes. Only the walk through that is done
here, once for all when the route is made, because FastAPI repeats it for each request.
"""

import re
import sys
from asyncio import to_thread
from collections.abc import Callable, Coroutine
from functools import partial
from inspect import iscoroutinefunction, signature
from itertools import chain
from typing import Annotated, Any, TypeAliasType, TypedDict
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
from pydantic import AliasPath, Field, TypeAdapter, ValidationError
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from wire.documents import Levels, read_object

LARGE_BODY_BYTES = 64 * 1024

Given = dict[str, list[str]]
type Handler = Callable[[Request], Coroutine[Any, Any, Response]]


_NONE: tuple[Match, Scope] = Match.NONE, {}


def invalid(*location: str | int, detail: str) -> RequestValidationError:
    """The refusal (400) of what stands at `location`, such as `"body", "application_id"`."""
    return RequestValidationError([{"type": "invalid", "loc": location, "msg": detail}])


class ExactRoute(APIRoute):
    """A route with a strict query and a strict JSON body, in which all of FastAPI works.

    A query parameter that is not declared, or is given twice where one counts, is refused (400),
    and so is a query that is not percent-encoded UTF-8. A JSON body is an object, and is read by
    `wire.documents`.
    """

    levels: Levels = (sys.maxsize,)
    _plain: Handler | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._slashes = None if ":path}" in self.path else self.path.count("/")
        self._head = self.path.partition("{")[0]
        if self._plain:
            self.app = _directly(self._plain)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Starlette's hook: spares the regular expression where the path cannot be it."""
        path: str = scope["path"]
        if not path.startswith(self._head) or self._slashes not in (path.count("/"), None):
            return _NONE
        # The prefix (`root_path`) is gone from the path: Starlette must not take it off once more.
        return super().matches({**scope, "root_path": ""} if scope.get("root_path") else scope)

    def get_route_handler(self) -> Handler:
        """FastAPI's hook: what answers a request."""
        complete = _complete(self, super().get_route_handler())
        if not _is_plain(self):
            return complete
        self._plain = _quick(self, complete)
        return self._plain


class ContentRoute(ExactRoute):
    """A route whose body is the content of an application: larger, and with its documents three
    levels down, in `configurations`, each in an item that has a name.

    MAX_CONTENT_BYTES is the limit of the body, and MAX_BODY_BYTES that of each document.
    """

    # The body, `configurations`, an item. What is wrong with many at once would hold up others.
    levels = (100, 100_000, 100)


def _directly(handler: Handler) -> ASGIApp:
    """Answers without the guard that Starlette puts around each route: the app's own has the same
    handlers of exceptions."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)

    return answer


def _is_plain(route: APIRoute) -> bool:
    """Whether the quick way knows all that the function takes; whatever else FastAPI has, now or
    later, is left to FastAPI."""
    declared, body = route.dependant, route.body_field
    return (
        _is_simple(declared)
        and all(map(_is_plain_dependency, declared.dependencies))
        # FastAPI calls one only once.
        and len({one.cache_key for one in declared.dependencies}) == len(declared.dependencies)
        # Several parameters may stand for one body.
        and declared.body_params in ([], [body])
        and (body is None or (body.required and not isinstance(body.field_info, Form)))
        and isinstance(route.response_class, DefaultPlaceholder)
    )


def _is_plain_dependency(declared: Dependant) -> bool:
    """Whether a function is only called, with parameters, before the route's own."""
    names = declared.name, declared.request_param_name, declared.response_param_name
    more = declared.dependencies or declared.body_params or declared.security_scopes
    return not any(names) and not more and _is_simple(declared)


def _is_simple(declared: Dependant) -> bool:
    """Whether a function is a coroutine function, and all that it takes is known."""
    kinds = declared.query_params, declared.header_params
    read = chain(declared.path_params, *kinds, declared.body_params)
    known = {declared.request_param_name, declared.response_param_name, *(one.name for one in read)}
    return (
        declared.call is not None
        and iscoroutinefunction(declared.call)
        and known >= set(signature(declared.call).parameters)
        # One model may stand for all parameters of a kind.
        and all(_get_flat_fields_from_params(kind) == kind for kind in kinds)
    )


def _complete(route: ExactRoute, handler: Handler) -> Handler:
    """FastAPI's own `handler`, behind the strict reading of the query and of a JSON body."""
    many, body = _many(route.dependant), route.body_field
    reads_json = body is not None and not isinstance(body.field_info, Form)

    async def complete(request: Request) -> Response:
        if reads_json and await request.body():
            # What `json()` returns from here on: FastAPI would not tell where the body is wrong.
            request._json = await _members(request, route.levels)
        _query(request.scope["query_string"], many)
        return await handler(request)

    return complete


def _quick(route: ExactRoute, complete: Handler) -> Handler:
    """What answers the requests of a plain route; `complete` does where a test replaces a
    dependency."""
    declared, reads_json, function = route.dependant, bool(route.body_field), route.endpoint
    arguments, many, status = _arguments(declared), _many(declared), route.status_code or 200
    levels, dependencies = route.levels, declared.dependencies
    app = route.dependency_overrides_provider if dependencies else None
    called_before = [(_arguments(one), call) for one in dependencies if (call := one.call)]
    taken = chain.from_iterable(one.header_params for one in (declared, *dependencies))
    headers = {field.alias.lower().encode(): field.alias for field in taken}
    request_name, response_name = declared.request_param_name, declared.response_param_name
    rendering = {
        name.removeprefix("response_model_"): value
        for name, value in vars(route).items()
        if name.startswith("response_model_")
    }
    render = partial(serialize_response, field=route.response_field, **rendering)

    async def quick(request: Request) -> Response:
        if getattr(app, "dependency_overrides", None):
            return await complete(request)
        scope, sent = request.scope, Given()
        members = await _members(request, levels) if reads_json else None
        query = _query(scope["query_string"], many)
        for name, value in scope["headers"]:
            if name in headers:
                sent.setdefault(headers[name], []).append(value.decode("latin-1"))
        given = {"path": scope["path_params"], "query": query, "header": sent, "body": members}
        faults = list[Any]()
        for its_arguments, dependency in called_before:
            if (values := _validated(its_arguments, given, faults)) is not None:
                await dependency(**values)
        if len(levels) == 1:
            values = _validated(arguments, given, faults)
        else:  # there may be many thousand items
            values = await to_thread(_validated, arguments, given, faults)
        if values is None or faults:
            raise RequestValidationError(faults)
        if request_name:
            values[request_name] = request
        if response_name:
            values[response_name] = Response(status_code=status)
        result = await function(**values)
        if isinstance(result, Response):
            return result
        draft = values[response_name] if response_name else Response(status_code=status)
        response = JSONResponse(await render(response_content=result), draft.status_code)
        if not is_body_allowed_for_status_code(draft.status_code):
            response.body = b""
        response.headers.raw.extend(one for one in draft.headers.raw if one[0] != b"content-length")
        return response

    return quick


def _validated(
    arguments: TypeAdapter[dict[str, Any]], given: dict[str, Any], faults: list[Any]
) -> dict[str, Any] | None:
    """The arguments from what was sent; None adds to the faults why there are none."""
    try:
        return arguments.validate_python(given, from_attributes=True)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            place = fault["loc"]
            if place[-1] == "[key]" and fault["input"] == place[-2]:  # the key itself is wrong
                fault["loc"] = place[:-1]
            faults.append(fault)
        return None


def _arguments(declared: Dependant) -> TypeAdapter[dict[str, Any]]:
    """Makes the arguments of a function from what was sent: an object of path, query, header and
    body. A query and headers have a list of values for each name, of which the first counts where
    the parameter is no list itself."""
    fields = dict[str, Any]()

    def take(parameter: ModelField, origin: str, *place: str | int) -> None:
        info = parameter.field_info
        # A type with a name: Pydantic would merge what it says about itself with the field's own.
        kind = TypeAliasType(parameter.name, Annotated[info.annotation, info])  # type: ignore[misc]
        default = {"default": info.default, "default_factory": info.default_factory}
        where = AliasPath(origin, *place)
        fields[parameter.name] = Annotated[kind, Field(**default, validation_alias=where)]

    for one in declared.path_params:
        take(one, "path", one.alias)
    for origin, parameters in ("query", declared.query_params), ("header", declared.header_params):
        for one in parameters:
            take(one, origin, one.alias, *([] if is_sequence_field(one) else [0]))
    for one in declared.body_params:
        take(one, "body")
    return TypeAdapter(TypedDict("Arguments", fields))  # type: ignore[operator]


def _many(declared: Dependant) -> dict[str, bool]:
    """Whether each query parameter of what is declared, and of all that it depends on, may be given
    more than once."""
    fields = _get_flat_fields_from_params(declared.query_params)
    many = {field.alias: is_sequence_field(field) for field in fields}
    for dependency in declared.dependencies:
        many |= _many(dependency)
    return many


async def _members(request: Request, levels: Levels) -> dict[str, Any]:
    """The members of the body; a large one is read beside the event loop, not to hold up others."""
    body = await request.body()
    if not body:
        raise invalid("body", detail="Field required")
    limits = (levels, request.app.state.settings.max_body_bytes) if len(levels) > 1 else ()
    if len(body) > LARGE_BODY_BYTES:
        return await to_thread(read_object, body, *limits)
    return read_object(body, *limits)


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
