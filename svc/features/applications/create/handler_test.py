from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.applications.create import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


def test_the_answer_is_the_application_and_where_it_is(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create(name: str, comments: str | None) -> dict[str, object]:
        return {"id": ID, "name": name, "comments": comments}

    monkeypatch.setattr(repository, "create", create)
    response = client.post("/api/v1/applications", json={"name": "billing", "comments": "ours"})
    assert response.status_code == 201
    assert response.json() == {"id": ID, "name": "billing", "comments": "ours"}
    assert response.headers["Location"] == f"/api/v1/applications/{ID}"
    assert response.headers["ETag"] == '"1"'


@pytest.mark.parametrize("name", ["billing", "it's", 'a "b" \\', "a\u200bb"])
def test_a_taken_name_is_a_conflict_that_shows_it_as_it_is(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def create(*_: object) -> None:
        raise repository.NameTaken

    monkeypatch.setattr(repository, "create", create)
    response = client.post("/api/v1/applications", json={"name": name})
    assert response.status_code == 409
    assert response.json()["detail"] == f"The name “{name}” is taken."


def test_an_invalid_member_is_pointed_at(client: TestClient) -> None:
    response = client.post("/api/v1/applications", json={"name": "billing", "comment": "ours"})
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/comment"]


def test_a_member_given_twice_is_pointed_at(client: TestClient) -> None:
    response = client.post("/api/v1/applications", content='{"name": "a", "name": "b"}')
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/name"]


def test_a_dry_run_has_no_tag_because_there_was_nothing_before(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create(name: str, comments: str | None) -> dict[str, object]:
        return {"id": ID, "name": name, "comments": comments}

    monkeypatch.setattr(repository, "create", create)
    tried = client.post("/api/v1/applications?dry_run=true", json={"name": "billing"})
    assert (tried.status_code, tried.json()["name"]) == (201, "billing")
    assert "ETag" not in tried.headers


def test_an_application_has_no_history_that_a_note_could_stand_in(client: TestClient) -> None:
    response = client.post("/api/v1/applications?note=why", json={"name": "billing"})
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["note"]
