from collections.abc import Awaitable, Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

import database
from features.configurations.get import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
PATH = f"/api/v1/configurations/{ID}"


@pytest.fixture
def waits() -> list[tuple[str, float, bool, bool]]:
    return []


@pytest.fixture
def client(
    serve: Callable[[ModuleType], TestClient],
    monkeypatch: pytest.MonkeyPatch,
    waits: list[tuple[str, float, bool, bool]],
) -> TestClient:
    async def get(id: str) -> dict[str, object]:
        return {"revision": 7, "body": f'{{"id":"{id}","config":{{"rate":1.10}}}}'}

    async def wait(
        look: Callable[[], Awaitable[dict[str, object]]],
        done: Callable[[dict[str, object]], bool],
        seconds: float,
        watched: Callable[[dict[str, object]], str],
    ) -> dict[str, object]:
        found = await look()
        waits.append((watched(found), seconds, done(found), done({"revision": 8})))
        return found

    monkeypatch.setattr(repository, "get", get)
    monkeypatch.setattr(database, "wait", wait)
    return serve(handler)


def test_the_answer_is_the_text_of_the_database(client: TestClient) -> None:
    response = client.get(PATH.replace(ID, ID.lower()))
    assert response.status_code == 200
    assert response.text == f'{{"id":"{ID}","config":{{"rate":1.10}}}}'
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"7"'
    assert response.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("known", "status"),
    [('"7"', 304), ('W/"7"', 304), ('"6", W/"7"', 304), ("*", 304), ('"6"', 200), ("7", 400)],
)
def test_what_is_known_already_is_not_sent_again(
    client: TestClient, known: str, status: int
) -> None:
    response = client.get(PATH, headers={"If-None-Match": known})
    assert response.status_code == status
    if status == 304:
        assert (response.content, response.headers["ETag"]) == (b"", '"7"')


def test_it_waits_until_there_is_a_revision_that_is_not_known(
    client: TestClient, waits: list[tuple[str, float, bool, bool]]
) -> None:
    response = client.get(PATH, headers={"If-None-Match": '"7"', "Prefer": "wait=3"})
    assert (response.status_code, response.headers["Preference-Applied"]) == (304, "wait=3")
    assert waits == [(ID, 3, False, True)]


@pytest.mark.parametrize("known", [{}, {"If-None-Match": "*"}])
def test_without_a_revision_that_is_known_it_does_not_wait(
    client: TestClient, waits: list[tuple[str, float, bool, bool]], known: dict[str, str]
) -> None:
    response = client.get(PATH, headers={**known, "Prefer": "wait=3"})
    assert response.headers["Preference-Applied"] == "wait=3"
    assert waits == []


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"7"', "Prefer": "wait=3"}])
def test_a_missing_configuration_is_not_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    async def get(*_: object) -> None:
        raise repository.NotFound

    monkeypatch.setattr(repository, "get", get)
    response = client.get(PATH, headers=headers)
    assert response.status_code == 404
    assert response.json()["detail"] == "There is no such configuration."


@pytest.mark.parametrize(
    ("target", "parameter"), [("1", "id"), (ID[:-1] + "U", "id"), (f"{ID}?limit=1", "limit")]
)
def test_a_bad_id_and_a_query_are_refused(client: TestClient, target: str, parameter: str) -> None:
    response = client.get(f"/api/v1/configurations/{target}")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]


TIME = "2026-01-02T03:04:05.5+02:00"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the repository was asked for as it was then, which was with change 44."""
    asked: list[object] = []

    async def get_at(*given: object) -> dict[str, object]:
        asked.append(given)
        return {"revision": 7, "sequence": 44, "body": '{"rate":1.10}'}

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
    assert (response.status_code, response.text) == (200, '{"rate":1.10}')
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"7"'
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers.get("Content-Location") == content_location
    assert asked == [(ID, at)]
    known = client.get(url, headers={"If-None-Match": '"7"'})
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
        (repository.NotFound(), 404, "There is no such configuration at that time."),
        (repository.Trimmed(), 410, "History does not have this revision any more."),
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
