from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.history.diff import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
PATH = f"/api/v1/configurations/{ID}/diff"


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


def test_the_answer_is_the_json_patch_of_the_database(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def diff(*given: object) -> str:
        asked.append(given)
        return '[{"op": "replace", "path": "/rate", "value": 1.10}]'

    monkeypatch.setattr(repository, "diff", diff)
    response = client.get(f"{PATH.replace(ID, ID.lower())}?to=7&from=3")
    assert response.status_code == 200
    assert response.text == '[{"op": "replace", "path": "/rate", "value": 1.10}]'
    assert response.headers["Content-Type"] == "application/json-patch+json"
    assert asked == [(ID, 3, 7)]


def test_the_missing_revision_is_named(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def diff(*_: object) -> None:
        raise repository.NotFound(7)

    monkeypatch.setattr(repository, "diff", diff)
    response = client.get(f"{PATH}?from=3&to=7")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "There is no revision 7."


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("", ["from", "to"]),
        ("?from=3", ["to"]),
        ("?to=7", ["from"]),
        ("?from=0&to=7", ["from"]),
        ("?from=3&to=last", ["to"]),
        ("?from=3&to=7&to=8", ["to"]),
        ("?source=3&from=3&to=7", ["source"]),
    ],
)
def test_both_revisions_are_required_and_nothing_else_is_taken(
    client: TestClient, query: str, parameters: list[str]
) -> None:
    response = client.get(PATH + query)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == parameters


def test_a_path_that_is_no_ulid_is_refused(client: TestClient) -> None:
    response = client.get("/api/v1/configurations/1/diff?from=3&to=7")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["id"]
