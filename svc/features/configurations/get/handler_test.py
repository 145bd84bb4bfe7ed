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
