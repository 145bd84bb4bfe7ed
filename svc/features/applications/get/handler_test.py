from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.applications.get import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
ROW: dict[str, object] = {
    "id": ID,
    "name": "billing",
    "comments": None,
    "revision": 7,
    "configuration_ids": [ID],
}


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


def test_the_answer_is_the_application_with_its_configurations(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(id: str) -> dict[str, object]:
        return {**ROW, "id": id}

    monkeypatch.setattr(repository, "get", get)
    response = client.get(f"/api/v1/applications/{ID.lower()}")
    assert response.status_code == 200
    assert response.json() == {
        "id": ID,
        "name": "billing",
        "comments": None,
        "configuration_ids": [ID],
    }
    assert response.headers["ETag"] == '"7"'
    assert response.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("known", "status"), [('"7"', 304), ('"6", W/"7"', 304), ("*", 304), ('"6"', 200), ("7", 400)]
)
def test_what_is_known_already_is_not_sent_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, known: str, status: int
) -> None:
    async def get(_: str) -> dict[str, object]:
        return ROW

    monkeypatch.setattr(repository, "get", get)
    response = client.get(f"/api/v1/applications/{ID}", headers={"If-None-Match": known})
    assert response.status_code == status
    if status == 304:
        assert (response.content, response.headers["ETag"]) == (b"", '"7"')


def test_a_missing_application_is_not_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(_: str) -> None:
        raise repository.NotFound

    monkeypatch.setattr(repository, "get", get)
    response = client.get(f"/api/v1/applications/{ID}")
    assert response.status_code == 404
    assert response.json()["detail"] == "There is no such application."


@pytest.mark.parametrize(
    ("target", "parameter"), [("1", "id"), (ID[:-1] + "U", "id"), (f"{ID}?limit=1", "limit")]
)
def test_a_bad_id_and_a_query_are_refused(client: TestClient, target: str, parameter: str) -> None:
    response = client.get(f"/api/v1/applications/{target}")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
