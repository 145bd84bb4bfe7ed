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
        look: Callable[[], Awaitable[Found]],
        done: Callable[[Found], bool],
        seconds: float,
        watched: Callable[[Found], str],
    ) -> Found:
        found, other = await look(), {**self.found, "opaque": "def"}
        self.waits.append((watched(found), seconds, done(found), done(other)))
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


TIME = "2026-01-02T03:04:05.5+02:00"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the repository was asked for as it was then, which was with change 44."""
    asked: list[object] = []

    async def merge_at(*given: object, explain: bool) -> dict[str, object]:
        asked.append((*given, explain))
        return {"opaque": "abc", "sequence": 44, "body": '{"rate": 1.10}'}

    monkeypatch.setattr(repository, "merge_at", merge_at)
    return asked


@pytest.mark.parametrize(
    ("at", "content_location"),
    [("46", None), ("0", None), (TIME, f"{ONE}&at=44")],
)
def test_what_was_has_its_tag_and_for_a_time_the_place_of_the_sequence(
    client: TestClient, asked: list[object], at: str, content_location: str | None
) -> None:
    url = f"{ONE}&at={at.replace('+', '%2B')}"
    response = client.get(url)
    assert (response.status_code, response.text) == (200, '{"rate": 1.10}')
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"abc"'
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers.get("Content-Location") == content_location
    assert asked == [("billing", ["production"], [], at, False)]
    known = client.get(url, headers={"If-None-Match": '"abc"'})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers.get("Content-Location") == content_location


@pytest.mark.parametrize(
    ("refusal", "status", "detail"),
    [
        (repository.NoSuchApplication(), 404, "There is no application “billing”."),
        (
            repository.NoSuchLayer("eu"),
            404,
            "The application has no configuration “eu” at that time.",
        ),
        (repository.Trimmed(), 410, "History does not have all of this any more."),
    ],
)
def test_what_was_not_there_or_is_not_any_more_is_told(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Exception,
    status: int,
    detail: str,
) -> None:
    async def merge_at(*_: object, explain: bool) -> None:
        raise refusal

    monkeypatch.setattr(repository, "merge_at", merge_at)
    response = client.get(f"{ONE}&at=46")
    assert (response.status_code, response.json()["detail"]) == (status, detail)


def test_the_future_is_a_bad_parameter(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def merge_at(*_: object, explain: bool) -> None:
        raise repository.InFuture

    monkeypatch.setattr(repository, "merge_at", merge_at)
    response = client.get(f"{ONE}&at=46")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["at"]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("at=", {}),
        ("at=now", {}),
        ("at=2026-01-02T03:04:05+02:00", {}),
        ("at=1&at=2", {}),
        ("at=46", {"Prefer": "wait=3"}),
        ("at=46", {"Prefer": "wait=0", "If-None-Match": '"1"'}),
    ],
)
def test_a_bad_moment_and_a_wait_for_what_was_are_refused(
    client: TestClient, asked: list[object], query: str, headers: dict[str, str]
) -> None:
    response = client.get(f"{ONE}&" + query, headers=headers)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["at"]
    assert asked == []
