from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.history.diff import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
OTHER = "01K3Z60F2M8S5N7P1C4D6E9G0H"
PATH = f"/api/v1/configurations/{ID}/diff"


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the repository was asked for."""
    asked: list[object] = []

    async def diff(*given: object) -> str:
        asked.append(given)
        return '[{"op": "replace", "path": "/rate", "value": 1.10}]'

    monkeypatch.setattr(repository, "diff", diff)
    return asked


def test_the_answer_is_the_json_patch_of_the_database(
    client: TestClient, asked: list[object]
) -> None:
    response = client.get(f"{PATH.replace(ID, ID.lower())}?to=7&from=3")
    assert response.status_code == 200
    assert response.text == '[{"op": "replace", "path": "/rate", "value": 1.10}]'
    assert response.headers["Content-Type"] == "application/json-patch+json"
    assert asked == [(ID, 3, ID, 7)]


@pytest.mark.parametrize(
    ("query", "given"),
    [
        ("", (ID, None, ID, None)),
        ("?from=3", (ID, 3, ID, None)),
        ("?to=7", (ID, None, ID, 7)),
        (f"?other={OTHER.lower()}", (ID, None, OTHER, None)),
        (f"?from=3&other={OTHER}&to=7", (ID, 3, OTHER, 7)),
    ],
)
def test_a_revision_that_is_left_out_is_the_present_document_and_to_counts_in_the_other(
    client: TestClient, asked: list[object], query: str, given: object
) -> None:
    assert client.get(PATH + query).status_code == 200
    assert asked == [given]


@pytest.mark.parametrize(
    ("revision", "is_other", "detail"),
    [
        (7, False, "There is no revision 7."),
        (7, True, "There is no revision 7 of the other configuration."),
        (None, False, "There is no present document."),
        (None, True, "There is no present document of the other configuration."),
    ],
)
def test_what_is_missing_is_named(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    revision: int | None,
    is_other: bool,
    detail: str,
) -> None:
    async def diff(*_: object) -> None:
        raise repository.NotFound(revision, is_other=is_other)

    monkeypatch.setattr(repository, "diff", diff)
    response = client.get(PATH)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == detail


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("?from=", ["from"]),
        ("?from=0&to=7", ["from"]),
        ("?other=1", ["other"]),
        (f"?other={OTHER}&other={OTHER}", ["other"]),
        ("?from=3&to=last", ["to"]),
        ("?from=3&to=7&to=8", ["to"]),
        ("?source=3&from=3&to=7", ["source"]),
    ],
)
def test_a_bad_query_is_refused(
    client: TestClient, asked: list[object], query: str, parameters: list[str]
) -> None:
    response = client.get(PATH + query)
    assert (response.status_code, asked) == (400, [])
    assert [error["parameter"] for error in response.json()["errors"]] == parameters


def test_a_path_that_is_no_ulid_is_refused(client: TestClient) -> None:
    response = client.get("/api/v1/configurations/1/diff?from=3&to=7")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["id"]
