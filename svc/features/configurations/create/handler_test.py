from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.configurations.create import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
OWNER = "01K3Z5W8Q4R7T2V9X6Y1B3C5D8"
PATH = "/api/v1/configurations"


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


@pytest.mark.parametrize(
    ("member", "config"), [("", "{}"), (', "config": {"rate": 1.10}', '{"rate": 1.10}')]
)
def test_the_document_goes_in_and_the_answer_out_untouched(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, member: str, config: str
) -> None:
    created = []

    async def create(*given: object) -> dict[str, str]:
        created.append(given)
        return {"id": ID, "body": '{"id":"…","config":{"rate":1.10}}'}

    monkeypatch.setattr(repository, "create", create)
    text = f'{{"application_id": "{OWNER.lower()}", "name": "production"{member}}}'
    response = client.post(PATH, content=text)
    assert response.status_code == 201
    assert response.text == '{"id":"…","config":{"rate":1.10}}'
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Location"] == f"{PATH}/{ID}"
    assert response.headers["ETag"] == '"1"'
    assert created == [(OWNER, "production", None, config)]


def test_a_document_too_large_to_give_back_is_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create(*_: object) -> None:
        raise repository.TooLarge

    monkeypatch.setattr(repository, "create", create)
    response = client.post(PATH, json={"application_id": OWNER, "name": "production"})
    assert response.status_code == 413


@pytest.mark.parametrize("name", ["production", "it's", 'a "b" \\', "a\u200bb"])
def test_a_taken_name_is_a_conflict_that_shows_it_as_it_is(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def create(*_: object) -> None:
        raise repository.NameTaken

    monkeypatch.setattr(repository, "create", create)
    response = client.post(PATH, json={"application_id": OWNER, "name": name})
    assert response.status_code == 409
    assert response.json()["detail"] == f"The name “{name}” is taken."


def test_an_application_that_does_not_exist_is_pointed_at(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create(*_: object) -> None:
        raise repository.NoSuchApplication

    monkeypatch.setattr(repository, "create", create)
    response = client.post(PATH, json={"application_id": OWNER, "name": "production"})
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/application_id"]


@pytest.mark.parametrize("config", ["[]", "null", '"{}"', "1", '{"a": 1, "a": 2}', '{"a": NaN}'])
def test_a_config_that_is_no_object_or_cannot_be_kept_is_pointed_at(
    client: TestClient, config: str
) -> None:
    text = f'{{"application_id": "{OWNER}", "name": "production", "config": {config}}}'
    response = client.post(PATH, content=text)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["pointer"] == ("/config/a" if config[0] == "{" else "/config")


def test_a_dry_run_has_no_tag_because_there_was_nothing_before(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create(*_: object) -> dict[str, str]:
        return {"id": ID, "body": "{}"}

    monkeypatch.setattr(repository, "create", create)
    body = {"application_id": OWNER, "name": "production"}
    tried = client.post(f"{PATH}?dry_run=true&note=why", json=body)
    assert (tried.status_code, tried.headers["Location"]) == (201, f"{PATH}/{ID}")
    assert "ETag" not in tried.headers
