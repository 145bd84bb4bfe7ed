import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    Security,
)
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer, SecurityScopes
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.datastructures import FormData
from starlette.types import Message, Receive, Scope, Send

from edge import problems
from wire.route import ExactRoute, invalid
from wire.types import Comments, ConfigDocument, Limit, Name, RequestModel, Ulid

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"


class MakeThingRequest(RequestModel):
    name: Name
    comments: Comments | None = None
    config: ConfigDocument = "{}"


router = APIRouter(route_class=ExactRoute)


@router.get("/things")
async def list_things(limit: Limit = 100, name: Name | None = None) -> dict[str, Any]:
    return {"limit": limit, "name": name}


@router.get("/things/{id}")
async def get_thing(id: Ulid) -> str:
    return id


@router.post("/things")
async def make_thing(body: MakeThingRequest) -> Response:
    return Response(body.config, media_type="application/json")


app = FastAPI(exception_handlers=problems.HANDLERS)
app.include_router(router)


@pytest.fixture
def client() -> TestClient:
    return TestClient(app)


def refused(client: TestClient, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.status_code == 400
    errors: list[dict[str, str]] = answer.json()["errors"]
    return errors


def test_a_route_takes_the_parameters_that_it_declares(client: TestClient) -> None:
    name = "a b&c=é+"
    answer = client.get(f"/things?limit=7&name={quote(name)}")
    assert answer.json() == {"limit": 7, "name": name}


@pytest.mark.parametrize("query", ["", "?", "?&"])
def test_a_query_may_be_empty(client: TestClient, query: str) -> None:
    assert client.get(f"/things{query}").json() == {"limit": 100, "name": None}


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_limit_is_taken_up_to_its_limits(client: TestClient, limit: int) -> None:
    assert client.get(f"/things?limit={limit}").json()["limit"] == limit


@pytest.mark.parametrize(
    "limit",
    [
        *("0", "1001", "-1", "", "+5", "%205", "1.0", "1e2", "1_0", "0x10", "ten", "true"),
        *("9" * 19, "9" * 5000, "%EF%BC%91", "5%00"),
    ],
)
def test_another_limit_is_refused(client: TestClient, limit: str) -> None:
    [error] = refused(client, f"/things?limit={limit}")
    assert error["parameter"] == "limit"


@pytest.mark.parametrize("name", ["", "a%00", "%20a", "a%0A", "a" * 257])
def test_a_filter_that_no_resource_can_have_is_refused(client: TestClient, name: str) -> None:
    [error] = refused(client, f"/things?name={name}")
    assert error["parameter"] == "name"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("nmae=a", "nmae"),
        ("limit=1&nmae=a", "nmae"),
        ("Limit=1", "Limit"),
        ("limit%00=1", "limit\x00"),
        ("=1", ""),
        ("nmae", "nmae"),
        ("limit=1&limit=1", "limit"),
        ("name=a&limit=1&name=b", "name"),
        ("limit=1&%6Cimit=2", "limit"),
    ],
)
def test_an_unknown_parameter_or_one_given_twice_is_refused(
    client: TestClient, query: str, parameter: str
) -> None:
    [error] = refused(client, f"/things?{query}")
    assert error["parameter"] == parameter


def test_a_route_without_parameters_refuses_each(client: TestClient) -> None:
    [error] = refused(client, f"/things/{ID}?limit=1")
    assert error["parameter"] == "limit"


@pytest.mark.parametrize("value", [b"%", b"%4", b"%zz", b"%FF", b"%ED%A0%80", b"%C0%80", b"\xff"])
def test_a_query_that_is_not_percent_encoded_utf_8_is_refused(value: bytes) -> None:
    async def raw(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "query_string": b"name=" + value}, receive, send)

    [error] = refused(TestClient(raw), "/things")
    assert error == {"detail": "The query is not percent-encoded UTF-8."}


def test_a_ulid_of_the_path_is_taken_in_lower_case_and_named_when_it_is_bad(
    client: TestClient,
) -> None:
    assert client.get(f"/things/{ID.lower()}").json() == ID
    [error] = refused(client, "/things/8")
    assert error == {"parameter": "id", "detail": "Input should be a ULID."}


def post(client: TestClient, body: str | bytes) -> tuple[int, Any]:
    answer = client.post("/things", content=body, headers={"Content-Type": "application/json"})
    return answer.status_code, answer.json()


def test_a_document_reaches_the_slice_as_the_text_that_was_sent(client: TestClient) -> None:
    text = '{ "b":1.10,  "a": 12345678901234567890 }'
    answer = client.post("/things", content=f'{{"name": "a", "config": {text}}}')
    assert (answer.status_code, answer.text) == (200, text)


def test_a_number_of_400_digits_in_the_place_of_text_is_refused_by_its_type(
    client: TestClient,
) -> None:
    status, answer = post(client, f'{{"name": 0.{"1" * 399}}}')
    assert (status, answer["errors"]) == (
        400,
        [{"pointer": "/name", "detail": "Input should be a valid string."}],
    )


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ("", ""),
        ("null", ""),
        ("[]", ""),
        ("\ufeff{}", ""),
        ("{}", "/name"),
        ('{"name": null}', "/name"),
        ('{"name": {}}', "/name"),
        ('{"name": "a", "nmae": "b"}', "/nmae"),
        ('{"name": "a", "name": "b"}', "/name"),
        ('{"name": "a", "config": null}', "/config"),
        ('{"name": "a", "config": []}', "/config"),
        ('{"name": "a", "config": "{}"}', "/config"),
        ('{"name": "a", "config": {"b": [0, NaN]}}', "/config/b/1"),
        (r'{"name": "a", "config": {"b": "\u0000"}}', "/config/b"),
        (r'{"name": "a", "config": {"\ud800": 1}}', "/config"),
        (r'{"name": "a", "\ud800": 1}', ""),
        (r'{"name": "\ud800"}', "/name"),
        (r'{"name": "\n"}', "/name"),
        (r'{"name": "a", "comments": "\u0000"}', "/comments"),
    ],
)
def test_a_body_that_is_not_what_a_route_takes_is_refused_where_it_is_wrong(
    client: TestClient, body: str, pointer: str
) -> None:
    status, answer = post(client, body)
    assert status == 400
    assert [error["pointer"] for error in answer["errors"]] == [pointer]


def test_no_more_than_20_unknown_members_are_told(client: TestClient) -> None:
    status, answer = post(client, json.dumps({f"x{n}": 1 for n in range(100)}))
    assert (status, len(answer["errors"])) == (400, 20)


def test_a_lone_surrogate_that_is_a_key_twice_is_refused(client: TestClient) -> None:
    status, _ = post(client, r'{"name": "a", "config": {"\ud800": 1, "\ud800": 2}}')
    assert status == 400


def test_the_body_is_looked_at_before_the_query(client: TestClient) -> None:
    answer = client.post("/things?limit=1", content="no")
    assert list(answer.json()["errors"][0]) == ["pointer", "detail"]


def test_a_route_without_a_body_reads_none() -> None:
    async def unread() -> Message:
        raise AssertionError("read a body that it does not take")

    async def silent(scope: Scope, _: Receive, send: Send) -> None:
        await app(scope, unread, send)

    assert TestClient(silent).get("/things").status_code == 200


def test_what_is_invalid_says_where_and_why() -> None:
    [error] = invalid("body", "config", 0, detail="No").errors()
    assert (error["loc"], error["msg"]) == (("body", "config", 0), "No")


# What FastAPI offers, in a route of ours.


type Depth = Annotated[int, Header()]


def deny(x_key: Annotated[str | None, Header()] = None) -> str:
    """A dependency that lets no request pass without `X-Key: open`."""
    if x_key != "open":
        raise HTTPException(403, "No.")
    return x_key


def scoped(scopes: SecurityScopes, x_scope: Annotated[str, Header()] = "") -> str:
    if x_scope not in scopes.scopes:
        raise HTTPException(403, "Not in scope.")
    return x_scope


async def guard(
    response_code: int = 403, x_key: Annotated[str, Header()] = "", x_depth: Depth = 1
) -> None:
    """A plain dependency: it is only called."""
    if x_key != "open":
        raise HTTPException(response_code, f"No, at {x_depth}.")


async def a_number(number: int = 1) -> int:
    return number


async def passes(number: int = 1) -> None:
    pass


class Page(BaseModel):
    limit: int = 10
    tag: list[str] = []


def a_page(page: Annotated[Page, Query()]) -> Page:
    return page


class Traces(BaseModel):
    x_one: str
    x_two: str = "two"


class Part(BaseModel):
    name: str
    size: int | None = None


class Whole(BaseModel):
    part: Part
    parts: list[Part] = []
    extra: dict[str, Any] = {}


class Sizes(BaseModel):
    sizes: dict[Name, int]


class Told(BaseModel):
    name: str | None = None
    size: int = 1


def everything(route_class: type[APIRoute]) -> TestClient:
    """An app whose routes, of this class, declare what FastAPI offers."""
    router = APIRouter(route_class=route_class)

    @router.get("/depends")
    async def depends(key: Annotated[str, Depends(deny)], limit: int = 1) -> dict[str, Any]:
        return {"key": key, "limit": limit}

    @router.get("/pages")
    async def pages(page: Annotated[Page, Depends(a_page)], size: int = 1) -> list[Any]:
        return [page, size]

    @router.get("/decorated", dependencies=[Depends(deny)])
    async def decorated() -> str:
        return "passed"

    @router.get("/plain", dependencies=[Depends(passes), Depends(guard)])
    async def plain(limit: int = 1) -> int:
        return limit

    @router.post("/plain", dependencies=[Depends(guard)])
    async def plain_with_a_body(body: Part) -> str:
        return body.name

    @router.get("/numbered")
    async def numbered(number: Annotated[int, Depends(a_number)]) -> int:
        return number

    @router.get("/scoped")
    async def scope_of(scope: Annotated[str, Security(scoped, scopes=["read"])]) -> str:
        return scope

    @router.get("/bearer")
    async def bearer(given: Annotated[Any, Depends(HTTPBearer())]) -> str:
        return str(given.credentials)

    @router.get("/cookie")
    async def cookie(session: Annotated[str, Cookie()]) -> str:
        return session

    @router.get("/sync")
    def sync(request: Request) -> str:
        return request.url.path

    @router.get("/text", response_class=PlainTextResponse)
    async def text() -> str:
        return "text"

    @router.get("/redirect", response_class=RedirectResponse)
    async def redirect() -> str:
        return "/text"

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter(["a", "b"]), media_type="text/plain")

    @router.get("/draft", status_code=201)
    async def draft(response: Response, status: int | None = None) -> Told:
        response.headers["X-Draft"] = "1"
        response.set_cookie("a", "b")
        response.status_code = status or response.status_code
        return Told(name="x")

    @router.get("/nothing", status_code=204)
    async def nothing() -> None:
        pass

    @router.get("/sparse", response_model_exclude_none=True, response_model_include={"name"})
    async def sparse() -> Told:
        return Told()

    @router.get("/page")
    async def page(page: Annotated[Page, Query()]) -> Page:
        return page

    @router.get("/traces")
    async def traces(traces: Annotated[Traces, Header()]) -> Traces:
        return traces

    @router.get("/header")
    async def header(
        one: Annotated[str, Header(alias="X-One")],
        two: Annotated[list[str] | None, Header()] = None,
    ) -> list[str]:
        return [one, *(two or [])]

    @router.get("/files/{path:path}")
    async def file(path: str) -> str:
        return path

    @router.get("/numbers/{number:int}")
    async def number(number: int) -> int:
        return number

    @router.post("/whole")
    async def whole(body: Whole) -> Whole:
        return body

    @router.post("/any")
    async def any_object(body: dict[str, Any]) -> dict[str, Any]:
        return body

    @router.post("/optional")
    async def optional(body: Part | None = None) -> Part | None:
        return body

    @router.post("/two")
    async def two(first: Part, second: Part) -> list[Part]:
        return [first, second]

    @router.post("/embedded")
    async def embedded(part: Annotated[Part, Body(embed=True)]) -> Part:
        return part

    @router.post("/guarded")
    async def guarded(body: Part, key: Annotated[str, Depends(deny)]) -> list[str]:
        return [body.name, key]

    app = FastAPI(exception_handlers=problems.HANDLERS)
    app.include_router(router)
    return TestClient(app)


OURS, FASTAPI_S = everything(ExactRoute), everything(APIRoute)
OPEN = {"X-Key": "open"}
PART = {"name": "a", "size": 1}
ANSWERS = [
    ("GET", "/depends", {}, 403),
    ("GET", "/depends?limit=2", {"headers": OPEN}, 200),
    ("GET", "/depends?limit=x", {"headers": OPEN}, 400),
    ("GET", "/decorated", {}, 403),
    ("GET", "/decorated", {"headers": OPEN}, 200),
    ("GET", "/plain", {}, 403),
    ("GET", "/plain?response_code=401", {"headers": {"X-Depth": "2"}}, 401),
    ("GET", "/plain?limit=2", {"headers": OPEN}, 200),
    # A dependency that refuses does so before the parameters of the others are told to be wrong.
    ("GET", "/plain?limit=x&number=x", {}, 403),
    ("GET", "/plain?limit=x", {"headers": OPEN}, 400),
    ("GET", "/plain?limit=x&number=x&response_code=x", {"headers": {"X-Depth": "x"}}, 400),
    ("POST", "/plain", {"json": PART, "headers": OPEN}, 200),
    ("POST", "/plain", {"json": {"size": 1}}, 403),
    ("POST", "/plain?response_code=x", {"json": {"size": 1}}, 400),
    ("GET", "/numbered?number=2", {}, 200),
    ("GET", "/numbered?number=x", {}, 400),
    ("GET", "/scoped", {"headers": {"X-Scope": "write"}}, 403),
    ("GET", "/scoped", {"headers": {"X-Scope": "read"}}, 200),
    ("GET", "/bearer", {}, 403),
    ("GET", "/bearer", {"headers": {"Authorization": "Bearer token"}}, 200),
    ("GET", "/cookie", {}, 400),
    ("GET", "/cookie", {"headers": {"Cookie": "session=a"}}, 200),
    ("GET", "/sync", {}, 200),
    ("GET", "/text", {}, 200),
    ("GET", "/redirect", {"follow_redirects": False}, 307),
    ("GET", "/stream", {}, 200),
    ("GET", "/draft", {}, 201),
    ("GET", "/draft?status=202", {}, 202),
    ("GET", "/draft?status=204", {}, 204),
    ("GET", "/nothing", {}, 204),
    ("GET", "/sparse", {}, 200),
    ("GET", "/page?limit=2&tag=a&tag=b", {}, 200),
    ("GET", "/page?limit=x", {}, 400),
    ("GET", "/pages?limit=2&tag=a&size=3", {}, 200),
    ("GET", "/traces", {"headers": {"X-One": "1"}}, 200),
    ("GET", "/traces", {}, 400),
    ("GET", "/header", {"headers": [("X-One", "1"), ("Two", "2"), ("Two", "3")]}, 200),
    ("GET", "/header", {}, 400),
    ("GET", "/files/a/b/c", {}, 200),
    ("GET", "/numbers/7", {}, 200),
    ("GET", "/numbers/x", {}, 404),
    ("POST", "/whole", {"json": {"part": PART, "parts": [PART], "extra": {"a": {"b": 1}}}}, 200),
    ("POST", "/whole", {"json": {"part": {"size": 1}}}, 400),
    ("POST", "/whole", {"json": {"part": 1}}, 400),
    ("POST", "/whole", {}, 400),
    ("POST", "/any", {"json": {"a": {"b": [{}]}, "c": 1.5}}, 200),
    ("POST", "/optional", {}, 200),
    ("POST", "/optional", {"json": PART}, 200),
    ("POST", "/two", {"json": {"first": PART, "second": PART}}, 200),
    ("POST", "/two", {"json": {"first": PART}}, 400),
    ("POST", "/embedded", {"json": {"part": PART}}, 200),
    ("POST", "/guarded", {"json": PART}, 403),
    ("POST", "/guarded", {"json": PART, "headers": OPEN}, 200),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), ANSWERS)
def test_a_route_answers_what_fastapi_s_own_would(
    method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer, expected = (app.request(method, path, **options) for app in (OURS, FASTAPI_S))
    assert answer.status_code == expected.status_code == status
    assert answer.headers == expected.headers
    assert answer.content == expected.content


def test_what_is_plain_spares_fastapi_s_walk_and_the_rest_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(**_: object) -> None:
        raise HTTPException(418, "FastAPI's own handling.")

    monkeypatch.setattr("fastapi.routing.solve_dependencies", refuse)
    assert OURS.get("/draft").status_code == 201
    assert OURS.post("/whole", json={"part": PART}).status_code == 200
    assert OURS.get("/plain", headers=OPEN).status_code == 200
    assert OURS.get("/numbered").status_code == 418
    assert OURS.get("/depends", headers=OPEN).status_code == 418
    assert OURS.get("/sync").status_code == 418


def test_a_default_is_made_for_each_request() -> None:
    numbers = count()
    router = APIRouter(route_class=ExactRoute)

    @router.get("/things")
    async def list_things(
        number: Annotated[int, Query(default_factory=lambda: next(numbers))],
        tag: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI's way to say it
    ) -> list[Any]:
        tag.append(str(number))
        return tag

    client = served(router)
    assert [client.get("/things").json() for _ in range(2)] == [["0"], ["1"]]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/depends?nmae=a", "nmae"),
        ("/depends?limit=1&limit=2", "limit"),
        ("/page?limit=1&limit=2", "limit"),
        ("/page?page=1", "page"),
        ("/sync?x", "x"),
        ("/text?x=", "x"),
    ],
)
def test_a_query_is_strict_whatever_else_a_route_declares(path: str, parameter: str) -> None:
    [error] = refused_by(OURS, path)
    assert error["parameter"] == parameter


def refused_by(client: TestClient, path: str) -> list[dict[str, str]]:
    answer = client.get(path, headers=OPEN)
    assert answer.status_code == 400
    errors: list[dict[str, str]] = answer.json()["errors"]
    return errors


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/guarded", '{"name": "a", "name": "b"}', "/name"),
        ("/guarded", '{"name": "a", "size": NaN}', "/size"),
        ("/guarded", "[]", ""),
        ("/optional", '{"name": "\\u0000"}', "/name"),
        ("/optional", "null", ""),
        ("/two", '{"first": {"name": "a", "size": 1e400}}', "/first/size"),
    ],
)
def test_a_body_is_strict_whatever_else_a_route_declares(
    path: str, body: str, pointer: str
) -> None:
    answer = OURS.post(path, content=body, headers=OPEN)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"sizes": {" a": 1}}', "/sizes/ a"),
        ('{"sizes": {"[key] ": 1}}', "/sizes/[key] "),
        ('{"sizes": {"[key]": "x"}}', "/sizes/[key]"),
        ('{"sizes": {"a": "x"}}', "/sizes/a"),
    ],
)
def test_a_key_that_is_wrong_is_pointed_at_as_its_value_would_be(body: str, pointer: str) -> None:
    router = APIRouter(route_class=ExactRoute)

    @router.post("/things")
    async def make(body: Sizes) -> None:
        assert body

    answer = served(router).post("/things", content=body)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def served(*routers: APIRouter, **options: Any) -> TestClient:
    app = FastAPI(exception_handlers=problems.HANDLERS)
    for router in routers:
        app.include_router(router, **options)
    return TestClient(app)


def test_a_document_is_the_text_that_was_sent_whatever_else_a_route_declares() -> None:
    router = APIRouter(route_class=ExactRoute)

    @router.post("/things", dependencies=[Depends(deny)])
    async def make(body: MakeThingRequest, request: Request) -> list[Any]:
        return [body.config, await request.json()]

    text = '{ "b":1.10,  "a": 12345678901234567890 }'
    body = f'{{"name": "a", "config": {text}}}'
    answer = served(router).post("/things", content=body, headers=OPEN).json()
    assert answer == [text, json.loads(body)]


@pytest.mark.parametrize("level", ["router", "inclusion", "app"])
def test_a_dependency_counts_wherever_it_is_declared(level: str) -> None:
    guards = {
        one: [Depends(deny)] if one == level else [] for one in ("router", "inclusion", "app")
    }
    router = APIRouter(route_class=ExactRoute, dependencies=guards["router"])

    @router.get("/things")
    async def list_things() -> str:
        return "passed"

    app = FastAPI(dependencies=guards["app"])
    app.include_router(router, dependencies=guards["inclusion"])
    client = TestClient(app)
    assert client.get("/things").status_code == 403
    assert client.get("/things", headers=OPEN).json() == "passed"


def test_a_dependency_may_be_replaced_for_a_test() -> None:
    app: Any = OURS.app
    try:
        app.dependency_overrides[deny] = lambda: "another"
        app.dependency_overrides[guard] = lambda: None
        assert OURS.get("/depends").json()["key"] == "another"
        assert OURS.get("/plain?limit=2").json() == 2
    finally:
        app.dependency_overrides.clear()


def test_a_dependency_that_is_declared_twice_is_called_once() -> None:
    calls = list[str]()

    async def note() -> None:
        calls.append("called")

    router = APIRouter(route_class=ExactRoute, dependencies=[Depends(note)])

    @router.get("/things", dependencies=[Depends(note)])
    async def list_things() -> list[str]:
        return calls

    assert served(router).get("/things").json() == ["called"]


@pytest.mark.parametrize(("fails", "end"), [(False, "closed"), (True, "failed")])
def test_a_dependency_with_yield_is_ended_whatever_comes_of_the_request(
    fails: bool, end: str
) -> None:
    events = list[str]()

    async def opened() -> AsyncIterator[str]:
        events.append("opened")
        try:
            yield "open"
        except HTTPException:
            events.append("failed")
            raise
        else:
            events.append("closed")

    def threaded() -> Iterator[str]:
        yield "threaded"
        events.append("threaded")

    router = APIRouter(route_class=ExactRoute)

    @router.get("/things")
    async def list_things(
        one: Annotated[str, Depends(opened)], two: Annotated[str, Depends(threaded)]
    ) -> list[str]:
        events.append("called")
        if fails:
            raise HTTPException(409, "No.")
        return [one, two]

    answer = served(router).get("/things")
    assert answer.status_code == (409 if fails else 200)
    assert [event for event in events if event != "threaded"] == ["opened", "called", end]


def test_a_background_task_runs_behind_the_answer() -> None:
    events = list[str]()
    router = APIRouter(route_class=ExactRoute)

    @router.get("/things")
    async def list_things(tasks: BackgroundTasks) -> str:
        tasks.add_task(events.append, "done")
        return "answered"

    assert served(router).get("/things").json() == "answered"
    assert events == ["done"]


def test_a_plain_function_runs_beside_the_event_loop() -> None:
    router = APIRouter(route_class=ExactRoute)

    @router.get("/plain")
    def plain() -> int:
        return threading.get_ident()

    @router.get("/loop")
    async def loop() -> int:
        return threading.get_ident()

    with served(router) as client:
        assert client.get("/plain").json() != client.get("/loop").json()


def test_a_form_that_cannot_be_read_stops_the_start() -> None:
    router = APIRouter(route_class=ExactRoute)
    with pytest.raises(RuntimeError, match="python-multipart"):

        @router.post("/forms")
        async def send_form(name: Annotated[str, Form()]) -> str:
            return name


def test_a_form_is_read_as_a_form_where_its_reader_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The package is no dependency of the service: this stands in for it.
    async def form(request: Request) -> FormData:
        return FormData([("name", "a")])

    monkeypatch.setitem(sys.modules, "python_multipart", SimpleNamespace(__version__="1"))
    monkeypatch.setattr(Request, "form", form)
    router = APIRouter(route_class=ExactRoute)

    @router.post("/forms")
    async def send_form(name: Annotated[str, Form()]) -> str:
        return name

    client = served(router)
    assert client.post("/forms", content="name=a").json() == "a"
    assert client.post("/forms?x=1", content="name=a").status_code == 400


def test_a_route_is_found_behind_a_prefix_that_begins_as_it_does() -> None:
    router = APIRouter(route_class=ExactRoute)

    @router.get("/api/things")
    async def list_things() -> str:
        return "found"

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        await served(router).app({**scope, "root_path": "/api"}, receive, send)

    assert TestClient(behind).get("/api/things").json() == "found"
