from collections.abc import Awaitable, Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

import database
from config import settings
from features.delivery.changes import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
PATH = f"/api/v1/applications/{ID}/changes"

type Page = dict[str, object]


class Database:
    """In the place of the database: what it tells, and what it was asked."""

    def __init__(self) -> None:
        self.page: Page = {"body": '{"changes":[{"sequence":9}],"next":9}', "next": 9}
        self.asked: list[object] = []
        self.waits: list[object] = []

    async def list_after(self, *given: object) -> Page:
        self.asked.append(given)
        return self.page

    async def wait(
        self,
        look: Callable[[], Awaitable[Page]],
        done: Callable[[Page], bool],
        seconds: float,
        watched: Callable[[Page], str],
    ) -> Page:
        self.waits.append((watched({}), seconds, done({"next": 7}), done({"next": 8})))
        return await look()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Database:
    fake = Database()
    monkeypatch.setattr(repository, "list_after", fake.list_after)
    monkeypatch.setattr(database, "wait", fake.wait)
    return fake


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient], fake: Database) -> TestClient:
    return serve(handler)


def test_the_answer_is_the_text_of_the_database(client: TestClient, fake: Database) -> None:
    response = client.get(f"{PATH.replace(ID, ID.lower())}?after=7&limit=2")
    assert (response.status_code, response.text) == (200, fake.page["body"])
    assert response.headers["Content-Type"] == "application/json"
    assert "Preference-Applied" not in response.headers
    assert (fake.asked, fake.waits) == ([(ID, 7, 2)], [])


def test_a_page_is_100_from_the_first_on(client: TestClient, fake: Database) -> None:
    assert client.get(PATH).status_code == 200
    assert fake.asked == [(ID, 0, 100)]


@pytest.mark.parametrize(("preferred", "applied"), [(3, 3), (30, 5)])
def test_it_waits_while_there_is_nothing_to_tell_but_not_longer_than_allowed(
    client: TestClient,
    fake: Database,
    monkeypatch: pytest.MonkeyPatch,
    preferred: int,
    applied: int,
) -> None:
    monkeypatch.setattr(settings(), "max_wait_seconds", 5)
    response = client.get(f"{PATH}?after=7", headers={"Prefer": f"wait={preferred}"})
    assert response.headers["Preference-Applied"] == f"wait={applied}"
    assert response.json()["next"] == 9
    assert fake.waits == [(ID, applied, False, True)]
    assert fake.asked == [(ID, 7, 100)]


def test_a_preference_for_no_wait_is_applied(client: TestClient, fake: Database) -> None:
    response = client.get(PATH, headers={"Prefer": "wait=0"})
    assert response.headers["Preference-Applied"] == "wait=0"
    assert fake.waits == []


@pytest.mark.parametrize("headers", [{}, {"Prefer": "wait=3"}])
def test_a_missing_application_is_not_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    async def list_after(*_: object) -> None:
        raise repository.NotFound

    monkeypatch.setattr(repository, "list_after", list_after)
    assert client.get(PATH, headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("target", "parameter"),
    [
        (PATH.replace(ID, "1"), "id"),
        (f"{PATH}?after=-1", "after"),
        (f"{PATH}?after={2**63}", "after"),
        (f"{PATH}?limit=0", "limit"),
        (f"{PATH}?limit=1001", "limit"),
        (f"{PATH}?before=1", "before"),
    ],
)
def test_a_bad_id_and_a_bad_query_are_refused(
    client: TestClient, target: str, parameter: str
) -> None:
    response = client.get(target)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
