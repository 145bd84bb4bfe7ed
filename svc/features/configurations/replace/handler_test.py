from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.configurations.replace import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
OTHER = "01K3Z5W8Q4R7T2V9X6Y1B3C5D8"
PATH = f"/api/v1/configurations/{ID}"
LEAST = {"name": "production", "config": {}}


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


@pytest.mark.parametrize(("headers", "revisions"), [({}, None), ({"If-Match": '"3", "4"'}, [3, 4])])
@pytest.mark.parametrize(
    ("members", "application_id"),
    [("", None), (f', "id": "{ID.lower()}", "application_id": "{OTHER.lower()}"', OTHER)],
)
def test_the_document_goes_in_and_the_answer_out_untouched(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    members: str,
    application_id: str | None,
    headers: dict[str, str],
    revisions: list[int] | None,
) -> None:
    replaced = []

    async def replace(*given: object) -> dict[str, object]:
        replaced.append(given)
        return {"found": 6, "revision": 7, "body": '{"id":"…","config":{"rate":1.10}}'}

    monkeypatch.setattr(repository, "replace", replace)
    text = f'{{"name": "production", "config": {{"rate": 1.10}}{members}}}'
    response = client.put(PATH.replace(ID, ID.lower()), content=text, headers=headers)
    assert response.status_code == 200
    assert response.text == '{"id":"…","config":{"rate":1.10}}'
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"7"'
    assert replaced == [(ID, application_id, "production", None, '{"rate": 1.10}', revisions)]


@pytest.mark.parametrize(("headers", "status"), [({"If-Match": '"3"'}, 412), ({}, 428)])
def test_another_revision_is_refused_with_its_tag(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], status: int
) -> None:
    async def replace(*_: object) -> None:
        raise repository.PreconditionFailed(7)

    monkeypatch.setattr(repository, "replace", replace)
    response = client.put(PATH, json=LEAST, headers=headers)
    assert (response.status_code, response.headers["ETag"]) == (status, '"7"')


def test_the_id_of_another_is_refused(client: TestClient) -> None:
    response = client.put(PATH, json={**LEAST, "id": OTHER})
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/id"]


def test_a_config_left_out_is_refused(client: TestClient) -> None:
    response = client.put(PATH, json={"name": "production"})
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/config"]


def test_a_path_that_is_no_ulid_is_refused(client: TestClient) -> None:
    response = client.put("/api/v1/configurations/1", json=LEAST)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["id"]


@pytest.mark.parametrize(
    ("refusal", "status", "pointers"),
    [
        (repository.NotFound, 404, []),
        (repository.NameTaken, 409, []),
        (repository.TooLarge, 413, []),
        (repository.OtherApplication, 400, ["/application_id"]),
    ],
)
def test_a_refusal_has_its_status(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    refusal: type[Exception],
    status: int,
    pointers: list[str],
) -> None:
    async def replace(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(repository, "replace", replace)
    response = client.put(PATH, json=LEAST)
    assert response.status_code == status
    assert [error["pointer"] for error in response.json().get("errors", [])] == pointers


def test_a_name_that_is_taken_is_shown_as_it_is(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def replace(*_: object) -> None:
        raise repository.NameTaken

    monkeypatch.setattr(repository, "replace", replace)
    response = client.put(PATH, json={**LEAST, "name": "it's"})
    assert response.json()["detail"] == "The name “it's” is taken."


def test_a_dry_run_has_the_tag_of_the_revision_before(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def replace(*_: object) -> dict[str, object]:
        return {"found": 6, "revision": 7, "body": "{}"}

    monkeypatch.setattr(repository, "replace", replace)
    tags = [
        client.put(f"{PATH}?{query}", json=LEAST).headers["ETag"]
        for query in ("dry_run=true&note=why", "dry_run=false&note=why")
    ]
    assert tags == ['"6"', '"7"']
