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
