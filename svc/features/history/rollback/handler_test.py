from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from config import settings
from features.history.rollback import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
PATH = f"/api/v1/configurations/{ID}/rollback"


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


def refuse(monkeypatch: pytest.MonkeyPatch, refusal: Exception) -> None:
    async def rollback(*_: object, may_be_deleted: bool) -> None:
        raise refusal

    monkeypatch.setattr(repository, "rollback", rollback)


@pytest.mark.parametrize(
    ("headers", "required", "revisions", "may_be_deleted"),
    [
        ({}, False, None, True),
        ({}, True, [], True),
        ({"If-Match": '"3", "4"'}, True, [3, 4], False),
        ({"If-Match": "*"}, False, None, False),
    ],
)
def test_a_deleted_one_may_come_back_unless_a_precondition_says_that_it_is_there(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    required: bool,
    revisions: list[int] | None,
    may_be_deleted: bool,
) -> None:
    asked = []

    async def rollback(*given: object, may_be_deleted: bool) -> dict[str, object]:
        asked.append((*given, may_be_deleted))
        return {"found": 7, "revision": 8, "body": '{"id":"…","config":{"rate":1.10}}'}

    monkeypatch.setattr(repository, "rollback", rollback)
    monkeypatch.setattr(settings(), "require_if_match", required)
    path = PATH.replace(ID, ID.lower())
    response = client.post(path, json={"revision": 3}, headers=headers)
    assert response.status_code == 200
    assert response.text == '{"id":"…","config":{"rate":1.10}}'
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"8"'
    assert asked == [(ID, 3, revisions, may_be_deleted)]


@pytest.mark.parametrize(("headers", "status"), [({"If-Match": '"3"'}, 412), ({}, 428)])
@pytest.mark.parametrize(("current", "tag"), [(7, '"7"'), (None, None)])
def test_another_revision_is_refused_with_its_tag_and_a_deleted_one_without(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    status: int,
    current: int | None,
    tag: str | None,
) -> None:
    refuse(monkeypatch, repository.PreconditionFailed(current))
    monkeypatch.setattr(settings(), "require_if_match", True)
    response = client.post(PATH, json={"revision": 3}, headers=headers)
    assert (response.status_code, response.headers.get("ETag")) == (status, tag)


@pytest.mark.parametrize(
    ("refusal", "status", "pointers"),
    [
        (repository.NotFound(), 404, []),
        (repository.NoSuchRevision(), 400, ["/revision"]),
        (repository.ApplicationGone(), 409, []),
        (repository.NameTaken(), 409, []),
        (repository.TooLarge(), 413, []),
    ],
)
def test_a_refusal_has_its_status(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Exception,
    status: int,
    pointers: list[str],
) -> None:
    refuse(monkeypatch, refusal)
    response = client.post(PATH, json={"revision": 3})
    assert response.status_code == status
    assert [error["pointer"] for error in response.json().get("errors", [])] == pointers


@pytest.mark.parametrize(
    ("text", "pointer"), [("{}", "/revision"), ('{"revision": "3"}', "/revision"), ("3", "")]
)
def test_a_body_without_a_revision_is_refused(client: TestClient, text: str, pointer: str) -> None:
    response = client.post(PATH, content=text)
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


def test_an_if_match_that_is_no_entity_tag_is_refused(client: TestClient) -> None:
    response = client.post(PATH, json={"revision": 3}, headers={"If-Match": "3"})
    assert response.status_code == 400


@pytest.mark.parametrize(("found", "tag"), [(7, '"7"'), (None, None)])
def test_a_dry_run_has_the_tag_of_the_revision_before_and_none_where_it_was_deleted(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, found: int | None, tag: str | None
) -> None:
    async def rollback(*_: object, may_be_deleted: bool) -> dict[str, object]:
        assert may_be_deleted
        return {"found": found, "revision": 8, "body": "{}"}

    monkeypatch.setattr(repository, "rollback", rollback)
    tried = client.post(f"{PATH}?dry_run=true&note=why", json={"revision": 3})
    assert (tried.status_code, tried.headers.get("ETag")) == (200, tag)
