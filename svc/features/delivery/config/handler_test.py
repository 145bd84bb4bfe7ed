from collections.abc import Awaitable, Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

import database
from features.delivery.config import handler, repository

PATH = "/api/v1/config"
ONE = f"{PATH}?application=billing&name=production"

type Found = dict[str, object]


class Database:
    """In the place of the database: what it gives, and what it was asked."""

    def __init__(self) -> None:
        self.found: Found = {"application_id": "A", "opaque": "abc", "body": '{"rate": 1.10}'}
        self.asked: list[object] = []
        self.waits: list[object] = []

    async def merge(self, *given: object, explain: bool) -> Found:
        self.asked.append((*given, explain))
        return self.found

    async def wait(
        self,
        id: str,
        look: Callable[[], Awaitable[Found]],
        done: Callable[[Found], bool],
        seconds: float,
    ) -> Found:
        other = {**self.found, "opaque": "def"}
        self.waits.append((id, seconds, done(await look()), done(other)))
        return other


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Database:
    fake = Database()
    monkeypatch.setattr(repository, "merge", fake.merge)
    monkeypatch.setattr(database, "wait", fake.wait)
    return fake


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient], fake: Database) -> TestClient:
    return serve(handler)


def test_the_answer_is_the_bare_document_of_the_database(
    client: TestClient, fake: Database
) -> None:
    response = client.get(ONE)
    assert response.status_code == 200
    assert response.text == '{"rate": 1.10}'
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"abc"'
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "Preference-Applied" not in response.headers
    assert fake.asked == [("billing", ["production"], [], False)]


def test_layers_keep_their_order_and_their_names_any_character(
    client: TestClient, fake: Database
) -> None:
    query = "application=billing&name=z&name=a%2Fb&name=%26&optional=%26&optional=z&explain=true"
    assert client.get(f"{PATH}?{query}").status_code == 200
    assert fake.asked == [("billing", ["z", "a/b", "&"], ["&", "z"], True)]


@pytest.mark.parametrize(
    ("known", "status"), [('"abc"', 304), ('"x", W/"abc"', 304), ("*", 304), ('"x"', 200)]
)
def test_what_is_known_already_is_not_sent_again(
    client: TestClient, known: str, status: int
) -> None:
    response = client.get(ONE, headers={"If-None-Match": known})
    assert (response.status_code, response.headers["ETag"]) == (status, '"abc"')
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert (response.content == b"") is (status == 304)


def test_it_waits_for_a_change_of_the_application_that_changes_the_answer(
    client: TestClient, fake: Database
) -> None:
    response = client.get(ONE, headers={"If-None-Match": '"abc"', "Prefer": "wait=3"})
    assert (response.status_code, response.headers["ETag"]) == (200, '"def"')
    assert response.headers["Preference-Applied"] == "wait=3"
    assert fake.waits == [("A", 3, False, True)]
    assert set(map(str, fake.asked)) == {"('billing', ['production'], [], False)"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Prefer": "wait=3"},
        {"Prefer": "wait=3", "If-None-Match": "*"},
        {"Prefer": "wait=0", "If-None-Match": '"abc"'},
    ],
)
def test_without_a_document_that_is_known_or_time_it_does_not_wait(
    client: TestClient, fake: Database, headers: dict[str, str]
) -> None:
    response = client.get(ONE, headers=headers)
    assert response.headers["Preference-Applied"] == headers["Prefer"]
    assert fake.waits == []


@pytest.mark.parametrize(
    ("refusal", "detail"),
    [
        (repository.NoSuchApplication(), "There is no application “billing”."),
        (repository.NoSuchLayer("eu"), "The application has no configuration “eu”."),
        (repository.NoSuchLayer("it's"), "The application has no configuration “it's”."),
    ],
)
def test_a_missing_application_or_layer_is_named(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, refusal: Exception, detail: str
) -> None:
    async def merge(*_: object, explain: bool) -> None:
        raise refusal

    monkeypatch.setattr(repository, "merge", merge)
    response = client.get(ONE)
    assert (response.status_code, response.json()["detail"]) == (404, detail)


def test_a_layer_that_goes_while_it_is_waited_for_is_named(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(*_: object) -> None:
        raise repository.NoSuchLayer("production")

    monkeypatch.setattr(database, "wait", wait)
    response = client.get(ONE, headers={"If-None-Match": '"abc"', "Prefer": "wait=3"})
    assert response.status_code == 404
    assert "“production”" in response.json()["detail"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("name=production", "application"),
        ("application=billing", "name"),
        ("application=billing&name=", "name"),
        ("application=billing&name=a%00b", "name"),
        ("application=billing&application=b&name=production", "application"),
        ("application=billing&name=production&optional=eu", "optional"),
        ("application=billing&name=production&explain=perhaps", "explain"),
        ("application=billing&name=production&limit=1", "limit"),
    ],
)
def test_a_bad_query_is_refused(
    client: TestClient, fake: Database, query: str, parameter: str
) -> None:
    response = client.get(f"{PATH}?{query}")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
    assert fake.asked == []
