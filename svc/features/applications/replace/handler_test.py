from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.applications.replace import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
OTHER = "01K3Z5W8Q4R7T2V9X6Y1B3C5D8"
PATH = f"/api/v1/applications/{ID}"


@pytest.fixture
def client(
    serve: Callable[[ModuleType], TestClient], monkeypatch: pytest.MonkeyPatch
) -> TestClient:
    async def replace(
        id: str, name: str, comments: str | None, revisions: list[int] | None
    ) -> dict[str, object]:
        found = max(revisions or [6])
        told = {"id": id, "name": name, "comments": comments}
        return {**told, "found": found, "revision": found + 1}

    monkeypatch.setattr(repository, "replace", replace)
    return serve(handler)


def test_the_answer_is_the_application_and_comments_left_out_become_null(
    client: TestClient,
) -> None:
    response = client.put(PATH.replace(ID, ID.lower()), json={"name": "billing"})
    assert response.status_code == 200
    assert response.json() == {"id": ID, "name": "billing", "comments": None}
    assert response.headers["ETag"] == '"7"'


def test_the_revisions_of_if_match_are_those_it_may_be_at(client: TestClient) -> None:
    response = client.put(PATH, json={"name": "billing"}, headers={"If-Match": '"3", "4"'})
    assert (response.status_code, response.headers["ETag"]) == (200, '"5"')


@pytest.mark.parametrize(("headers", "status"), [({"If-Match": '"3"'}, 412), ({}, 428)])
def test_another_revision_is_refused_with_its_tag(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], status: int
) -> None:
    async def replace(*_: object) -> None:
        raise repository.PreconditionFailed(7)

    monkeypatch.setattr(repository, "replace", replace)
    response = client.put(PATH, json={"name": "billing"}, headers=headers)
    assert (response.status_code, response.headers["ETag"]) == (status, '"7"')


def test_what_get_returned_is_accepted(client: TestClient) -> None:
    got = {"id": ID, "name": "billing", "comments": "ours", "configuration_ids": [OTHER]}
    response = client.put(PATH, json=got)
    assert response.status_code == 200
    assert response.json() == {"id": ID, "name": "billing", "comments": "ours"}


def test_its_own_id_may_be_in_lower_case(client: TestClient) -> None:
    assert client.put(PATH, json={"name": "billing", "id": ID.lower()}).status_code == 200


def test_the_id_of_another_is_refused(client: TestClient) -> None:
    response = client.put(PATH, json={"name": "billing", "id": OTHER})
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/id"]


def test_a_path_that_is_no_ulid_is_refused(client: TestClient) -> None:
    response = client.put("/api/v1/applications/1", json={"name": "billing"})
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["id"]


@pytest.mark.parametrize(
    ("refusal", "status"), [(repository.NotFound, 404), (repository.NameTaken, 409)]
)
def test_a_refusal_has_its_status(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, refusal: type[Exception], status: int
) -> None:
    async def replace(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(repository, "replace", replace)
    assert client.put(PATH, json={"name": "billing"}).status_code == status


def test_a_member_given_twice_is_pointed_at(client: TestClient) -> None:
    response = client.put(PATH, content='{"name": "a", "name": "b"}')
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/name"]


def test_a_name_that_is_taken_is_shown_as_it_is(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def replace(*_: object) -> None:
        raise repository.NameTaken

    monkeypatch.setattr(repository, "replace", replace)
    response = client.put(PATH, json={"name": "it's"})
    assert response.json()["detail"] == "The name “it's” is taken."


def test_a_dry_run_has_the_tag_of_the_revision_before(client: TestClient) -> None:
    tags = [
        client.put(f"{PATH}?dry_run={value}", json={"name": "billing"}).headers["ETag"]
        for value in ("true", "false")
    ]
    assert tags == ['"6"', '"7"']


def test_an_application_has_no_history_that_a_note_could_stand_in(client: TestClient) -> None:
    response = client.put(f"{PATH}?note=why", json={"name": "billing"})
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["note"]
