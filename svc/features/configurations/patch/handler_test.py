from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from config import settings
from features.configurations.patch import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
OTHER = "01K3Z5W8Q4R7T2V9X6Y1B3C5D8"
PATH = f"/api/v1/configurations/{ID}"


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


def patch(client: TestClient, text: str, path: str = PATH, **headers: str) -> Any:
    headers["Content-Type"] = "application/merge-patch+json"
    return client.patch(path, content=text, headers=headers)


def refuse(monkeypatch: pytest.MonkeyPatch, refusal: Exception) -> None:
    async def patch(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(repository, "patch", patch)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("{}", {}),
        ('{"name": "staging"}', {"name": "staging"}),
        ('{"comments": null}', {"comments": None}),
        ('{"config": {"rate": 1.10, "a": null}}', {"config": '{"rate": 1.10, "a": null}'}),
        (
            f'{{"id": "{ID.lower()}", "application_id": "{OTHER.lower()}"}}',
            {"id": ID, "application_id": OTHER},
        ),
    ],
)
def test_what_the_patch_has_goes_in_and_the_answer_out_untouched(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, text: str, members: dict[str, object]
) -> None:
    patched = []

    async def record(*given: object) -> dict[str, object]:
        patched.append(given)
        return {"found": 6, "revision": 7, "body": '{"id":"…","config":{"rate":1.10}}'}

    monkeypatch.setattr(repository, "patch", record)
    response = patch(client, text, PATH.replace(ID, ID.lower()))
    assert response.status_code == 200
    assert response.text == '{"id":"…","config":{"rate":1.10}}'
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"7"'
    assert patch(client, text, **{"If-Match": '"3", W/"4", "5"'}).status_code == 200
    assert patched == [(ID, members, None), (ID, members, [3, 5])]


def test_another_revision_is_refused_with_its_tag(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, repository.PreconditionFailed(7))
    response = patch(client, "{}", **{"If-Match": '"3"'})
    assert (response.status_code, response.headers["ETag"]) == (412, '"7"')


def test_where_if_match_is_required_a_patch_without_it_matches_no_revision(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: str, __: object, revisions: object) -> None:
        assert revisions == []
        raise repository.PreconditionFailed(7)

    monkeypatch.setattr(repository, "patch", fail)
    monkeypatch.setattr(settings(), "require_if_match", True)
    response = patch(client, "{}")
    assert (response.status_code, response.headers["ETag"]) == (428, '"7"')


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (f'{{"id": "{OTHER}"}}', "/id"),
        ('{"name": null}', "/name"),
        ('{"config": null}', "/config"),
        ('{"config": {"a": 1, "a": 2}}', "/config/a"),
        ('{"comment": "ours"}', "/comment"),
        ("[]", ""),
    ],
)
def test_a_patch_that_makes_no_valid_configuration_is_pointed_at(
    client: TestClient, text: str, pointer: str
) -> None:
    response = patch(client, text)
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("refusal", "status", "pointers"),
    [
        (repository.NotFound(), 404, []),
        (repository.NameTaken(), 409, []),
        (repository.TooLarge(), 413, []),
        (repository.OtherApplication(), 400, ["/application_id"]),
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
    response = patch(client, '{"name": "staging"}')
    assert response.status_code == status
    assert [error["pointer"] for error in response.json().get("errors", [])] == pointers


def test_a_name_that_is_taken_is_shown_as_it_is(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, repository.NameTaken())
    response = patch(client, """{"name": "it's"}""")
    assert response.json()["detail"] == "The name “it's” is taken."


def test_a_dry_run_has_the_tag_of_the_revision_before(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(*_: object) -> dict[str, object]:
        return {"found": 6, "revision": 7, "body": "{}"}

    monkeypatch.setattr(repository, "patch", found)
    tags = [
        patch(client, "{}", f"{PATH}?{query}").headers["ETag"]
        for query in ("dry_run=true&note=why", "dry_run=false&note=why")
    ]
    assert tags == ['"6"', '"7"']
