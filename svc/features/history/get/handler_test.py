from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.history.get import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
CONFIGURATIONS = "/api/v1/configurations"


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


def test_the_answer_is_the_text_of_the_database_and_may_be_kept_for_ever(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def get(*given: object) -> str:
        asked.append(given)
        return '{"id":"…","config":{"rate":1.10}}'

    monkeypatch.setattr(repository, "get", get)
    response = client.get(f"{CONFIGURATIONS}/{ID.lower()}/revisions/3")
    assert response.status_code == 200
    assert response.text == '{"id":"…","config":{"rate":1.10}}'
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert asked == [(ID, 3)]


def test_a_missing_revision_is_not_found_and_not_kept(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(*_: object) -> None:
        raise repository.NotFound

    monkeypatch.setattr(repository, "get", get)
    response = client.get(f"{CONFIGURATIONS}/{ID}/revisions/3")
    assert response.status_code == 404
    assert response.json()["detail"] == "There is no such revision."
    assert "Cache-Control" not in response.headers


@pytest.mark.parametrize(
    ("target", "parameter"),
    [
        ("1/revisions/3", "id"),
        (f"{ID}/revisions/0", "revision"),
        (f"{ID}/revisions/last", "revision"),
        (f"{ID}/revisions/{2**63}", "revision"),
        (f"{ID}/revisions/3?limit=1", "limit"),
    ],
)
def test_a_bad_path_and_a_query_are_refused(
    client: TestClient, target: str, parameter: str
) -> None:
    response = client.get(f"{CONFIGURATIONS}/{target}")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
