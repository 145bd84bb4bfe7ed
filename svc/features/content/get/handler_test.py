from collections.abc import Awaitable, Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

import database
from config import settings
from features.content.get import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
PATH = f"/api/v1/applications/{ID}/content"
BODY = '{"sequence":46,"configurations":{"production":{"config":{"rate":1.10}}}}'

type Found = dict[str, object]


class Database:
    """In the place of the database: what it tells, and what it was asked."""

    def __init__(self) -> None:
        self.found: Found = {"sequence": 46, "body": BODY}
        self.asked: list[object] = []
        self.waits: list[object] = []

    async def get(self, *given: object) -> Found:
        self.asked.append(given)
        return self.found

    async def wait(
        self,
        look: Callable[[], Awaitable[Found]],
        done: Callable[[Found], bool],
        seconds: float,
        watched: Callable[[Found], str],
    ) -> Found:
        self.waits.append((watched({}), seconds, done(self.found), done({"sequence": 47})))
        return await look()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Database:
    fake = Database()
    monkeypatch.setattr(repository, "get", fake.get)
    monkeypatch.setattr(database, "wait", fake.wait)
    return fake


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient], fake: Database) -> TestClient:
    return serve(handler)


def test_the_answer_is_the_text_of_the_database_and_its_tag_the_last_change(
    client: TestClient, fake: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "max_content_bytes", 1234)
    response = client.get(PATH.replace(ID, ID.lower()))
    assert (response.status_code, response.text) == (200, BODY)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"46"'
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "Preference-Applied" not in response.headers
    assert (fake.asked, fake.waits) == ([(ID, 1234)], [])


def test_before_the_first_change_the_tag_is_that_of_0(client: TestClient, fake: Database) -> None:
    fake.found = {"sequence": 0, "body": '{"sequence":0,"configurations":{}}'}
    assert client.get(PATH).headers["ETag"] == '"0"'
    assert client.get(PATH, headers={"If-None-Match": '"0"'}).status_code == 304


@pytest.mark.parametrize(
    ("known", "status"),
    [('"46"', 304), ('W/"46"', 304), ('"45", W/"46"', 304), ("*", 304), ('"45"', 200), ("46", 400)],
)
def test_what_is_known_already_is_not_sent_again(
    client: TestClient, known: str, status: int
) -> None:
    response = client.get(PATH, headers={"If-None-Match": known})
    assert response.status_code == status
    if status == 304:
        assert (response.content, response.headers["ETag"]) == (b"", '"46"')


@pytest.mark.parametrize(("preferred", "applied"), [(3, 3), (30, 5)])
def test_it_waits_until_there_is_a_change_that_is_not_known_but_not_longer_than_allowed(
    client: TestClient,
    fake: Database,
    monkeypatch: pytest.MonkeyPatch,
    preferred: int,
    applied: int,
) -> None:
    monkeypatch.setattr(settings(), "max_wait_seconds", 5)
    headers = {"If-None-Match": '"46"', "Prefer": f"wait={preferred}"}
    response = client.get(PATH, headers=headers)
    assert response.status_code == 304
    assert response.headers["Preference-Applied"] == f"wait={applied}"
    assert fake.waits == [(ID, applied, False, True)]


@pytest.mark.parametrize("known", [{}, {"If-None-Match": "*"}])
def test_without_a_change_that_is_known_it_does_not_wait(
    client: TestClient, fake: Database, known: dict[str, str]
) -> None:
    response = client.get(PATH, headers={**known, "Prefer": "wait=3"})
    assert response.headers["Preference-Applied"] == "wait=3"
    assert fake.waits == []


def test_what_is_too_large_is_a_conflict_that_says_what_to_do_unless_it_is_known(
    client: TestClient, fake: Database
) -> None:
    fake.found = {"sequence": 46, "body": ""}
    response = client.get(PATH)
    assert response.status_code == 409
    assert "one by one" in response.json()["detail"]
    assert client.get(PATH, headers={"If-None-Match": '"46"'}).status_code == 304


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"46"', "Prefer": "wait=3"}])
def test_a_missing_application_is_not_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    async def get(*_: object) -> None:
        raise repository.NotFound

    monkeypatch.setattr(repository, "get", get)
    response = client.get(PATH, headers=headers)
    assert response.status_code == 404
    assert response.json()["detail"] == "There is no such application."


@pytest.mark.parametrize(
    ("target", "parameter"),
    [
        (PATH.replace(ID, "1"), "id"),
        (f"{PATH}?limit=1", "limit"),
        (f"{PATH}?dry_run=true", "dry_run"),
    ],
)
def test_a_bad_id_and_a_query_are_refused(client: TestClient, target: str, parameter: str) -> None:
    response = client.get(target)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]


TIME = "2026-01-02T03:04:05.5+02:00"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the repository was asked for as it was then, which was with change 44."""
    asked: list[object] = []

    async def get_at(*given: object) -> dict[str, object]:
        asked.append(given)
        return {"sequence": 44, "body": BODY}

    monkeypatch.setattr(repository, "get_at", get_at)
    return asked


@pytest.mark.parametrize(
    ("at", "content_location"),
    [("46", None), ("0", None), (TIME, f"{PATH}?at=44")],
)
def test_what_was_has_its_tag_and_for_a_time_the_place_of_the_sequence(
    client: TestClient, asked: list[object], at: str, content_location: str | None
) -> None:
    url = f"{PATH}?at={at.replace('+', '%2B')}"
    response = client.get(url)
    assert (response.status_code, response.text) == (200, BODY)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"44"'
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers.get("Content-Location") == content_location
    assert asked == [(ID, at, settings().max_content_bytes)]
    known = client.get(url, headers={"If-None-Match": '"44"'})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers.get("Content-Location") == content_location


def test_the_place_of_the_sequence_has_the_id_in_upper_case(
    client: TestClient, asked: list[object]
) -> None:
    response = client.get(PATH.replace(ID, ID.lower()), params={"at": TIME})
    assert response.headers["Content-Location"] == f"{PATH}?at=44"


@pytest.mark.parametrize(
    ("refusal", "status", "detail"),
    [
        (repository.NotFound(), 404, "There is no such application."),
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
    async def get_at(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(repository, "get_at", get_at)
    response = client.get(f"{PATH}?at=46")
    assert (response.status_code, response.json()["detail"]) == (status, detail)


def test_the_future_is_a_bad_parameter(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def get_at(*_: object) -> None:
        raise repository.InFuture

    monkeypatch.setattr(repository, "get_at", get_at)
    response = client.get(f"{PATH}?at=46")
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
    response = client.get(f"{PATH}?" + query, headers=headers)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["at"]
    assert asked == []


def test_what_was_may_be_too_large_for_one_answer(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get_at(*_: object) -> dict[str, object]:
        return {"sequence": 44, "body": ""}

    monkeypatch.setattr(repository, "get_at", get_at)
    assert client.get(f"{PATH}?at=46").status_code == 409
