from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.checks.delete import handler, repository

ID = "01K3Z6F4N9T6P8Q2D5E7F0H1J2"
PATH = f"/api/v1/checks/{ID}"


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


@pytest.mark.parametrize(("query", "tag"), [("", None), ("?dry_run=true", '"7"')])
@pytest.mark.parametrize(("headers", "revisions"), [({}, None), ({"If-Match": '"3", "4"'}, [3, 4])])
def test_what_is_deleted_leaves_an_empty_answer(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    revisions: list[int] | None,
    query: str,
    tag: str | None,
) -> None:
    deleted = []

    async def delete(*given: object) -> int:
        deleted.append(given)
        return 7

    monkeypatch.setattr(repository, "delete", delete)
    response = client.delete(PATH.replace(ID, ID.lower()) + query, headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers.get("ETag") == tag
    assert deleted == [(ID, revisions)]


def test_a_missing_check_is_not_found(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def delete(*_: object) -> None:
        raise repository.NotFound

    monkeypatch.setattr(repository, "delete", delete)
    response = client.delete(PATH)
    assert (response.status_code, response.json()["detail"]) == (404, "There is no such check.")


@pytest.mark.parametrize(("headers", "status"), [({"If-Match": '"3"'}, 412), ({}, 428)])
def test_another_revision_is_refused_with_its_tag(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], status: int
) -> None:
    async def delete(*_: object) -> None:
        raise repository.PreconditionFailed(7)

    monkeypatch.setattr(repository, "delete", delete)
    response = client.delete(PATH, headers=headers)
    assert (response.status_code, response.headers["ETag"]) == (status, '"7"')


@pytest.mark.parametrize(("target", "parameter"), [("1", "id"), (f"{ID}?note=why", "note")])
def test_a_bad_id_and_a_query_are_refused(client: TestClient, target: str, parameter: str) -> None:
    response = client.delete(f"/api/v1/checks/{target}")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
