from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.applications.delete import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


def test_what_is_deleted_leaves_an_empty_answer(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted = []

    async def delete(id: str) -> None:
        deleted.append(id)

    monkeypatch.setattr(repository, "delete", delete)
    response = client.delete(f"/api/v1/applications/{ID.lower()}")
    assert (response.status_code, response.content) == (204, b"")
    assert deleted == [ID]


def test_a_missing_application_is_not_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def delete(_: str) -> None:
        raise repository.NotFound

    monkeypatch.setattr(repository, "delete", delete)
    response = client.delete(f"/api/v1/applications/{ID}")
    assert response.status_code == 404
    assert response.json()["detail"] == "There is no such application."


def test_a_path_that_is_no_ulid_is_refused(client: TestClient) -> None:
    response = client.delete("/api/v1/applications/1")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["id"]
