import json
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from edge import problems
from wire.route import ExactRoute
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
