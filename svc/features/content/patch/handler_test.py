from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from config import settings
from features.content.patch import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
PATH = f"/api/v1/applications/{ID}/content"
BODY = '{"sequence":47,"changes":[{"name":"a","patch":[{"value":1.10}]}]}'


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the repository was asked for; the last change was 46, and is 47 then."""
    asked: list[object] = []

    async def patch(*given: object) -> dict[str, object]:
        asked.append(given)
        return {"previous": 46, "sequence": 47, "body": BODY}

    monkeypatch.setattr(repository, "patch", patch)
    return asked


def refuse(monkeypatch: pytest.MonkeyPatch, refusal: Exception) -> None:
    async def patch(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(repository, "patch", patch)


def send(client: TestClient, items: str, path: str = PATH, **headers: str) -> Any:
    headers["Content-Type"] = "application/merge-patch+json"
    return client.patch(path, content=f'{{"configurations": {items}}}', headers=headers)


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json().get("errors", [])]


def test_what_the_patch_has_goes_in_and_the_answer_out_untouched(
    client: TestClient, asked: list[object]
) -> None:
    items = '{"a": {"config": {"rate": 1.10, "x": null}, "revision": 3}, "b": null, "c": {}}'
    response = send(client, items, PATH.replace(ID, ID.lower()))
    assert (response.status_code, response.text) == (200, BODY)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"47"'
    assert send(client, '{"a": {"comments": null}}', **{"If-Match": '"0", "46"'}).is_success
    assert asked == [
        (
            ID,
            {"a": {"config": '{"rate": 1.10, "x": null}', "revision": 3}, "b": None, "c": {}},
            None,
        ),
        (ID, {"a": {"comments": None}}, [0, 46]),
    ]


def test_a_dry_run_has_the_tag_of_the_change_before(
    client: TestClient, asked: list[object]
) -> None:
    tags = [
        send(client, "{}", f"{PATH}?dry_run={value}&note=why").headers["ETag"]
        for value in ("true", "false")
    ]
    assert tags == ['"46"', '"47"']


@pytest.mark.parametrize(("sequence", "tag"), [(46, '"46"'), (0, '"0"')])
def test_another_change_is_refused_with_its_tag(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, sequence: int, tag: str
) -> None:
    refuse(monkeypatch, repository.PreconditionFailed(sequence))
    response = send(client, "{}", **{"If-Match": '"3"'})
    assert (response.status_code, response.headers["ETag"]) == (412, tag)


def test_where_if_match_is_required_a_patch_without_it_matches_no_change(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: str, __: object, sequences: object) -> None:
        assert sequences == []
        raise repository.PreconditionFailed(46)

    monkeypatch.setattr(repository, "patch", fail)
    monkeypatch.setattr(settings(), "require_if_match", True)
    response = send(client, "{}")
    assert (response.status_code, response.headers["ETag"]) == (428, '"46"')


def test_other_revisions_are_pointed_at_with_the_tag_of_the_content(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, repository.OtherRevisions(46, ["a", "b/c~d"]))
    response = send(client, "{}")
    assert (response.status_code, response.headers["ETag"]) == (412, '"46"')
    assert pointers(response) == ["/configurations/a", "/configurations/b~1c~0d"]


def test_documents_that_are_too_large_to_give_back_are_pointed_at(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, repository.TooLarge(["a", "b"]))
    response = send(client, "{}")
    assert response.status_code == 413
    assert pointers(response) == ["/configurations/a", "/configurations/b"]


def test_a_missing_application_is_not_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, repository.NotFound())
    assert send(client, "{}").status_code == 404


@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        ("[]", "/configurations"),
        ("null", "/configurations"),
        ('{"a": []}', "/configurations/a"),
        ('{"a": {"config": null}}', "/configurations/a/config"),
        ('{"a": {"config": {"b": 1, "b": 2}}}', "/configurations/a/config/b"),
        ('{"a": {"config": {"b": NaN}}}', "/configurations/a/config/b"),
        ('{"a": {"comment": "x"}}', "/configurations/a/comment"),
        ('{"a": {"revision": "3"}}', "/configurations/a/revision"),
        ('{"a": null, "a": null}', "/configurations/a"),
        ('{" a": null}', "/configurations/ a"),
        ('{}, "sequence": 3', "/sequence"),
    ],
)
def test_what_is_no_patch_is_pointed_at(
    client: TestClient, asked: list[object], items: str, pointer: str
) -> None:
    response = send(client, items)
    assert (response.status_code, pointers(response)) == (400, [pointer])
    assert asked == []


def test_a_body_without_configurations_is_refused(client: TestClient, asked: list[object]) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    response = client.patch(PATH, content="{}", headers=headers)
    assert (response.status_code, pointers(response)) == (400, ["/configurations"])
    assert asked == []


def test_a_document_larger_than_a_body_may_be_is_pointed_at(
    client: TestClient, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "max_body_bytes", 100)
    small = ", ".join(f'"s{n}": {{"config": {{"x": "{"y" * 50}"}}}}' for n in range(10))
    assert send(client, f"{{{small}}}").status_code == 200
    large = f'{{"a": {{"config": {{"x": "{"y" * 100}"}}}}, {small}}}'
    response = send(client, large)
    assert (response.status_code, pointers(response)) == (413, ["/configurations/a"])
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("target", "parameter"),
    [(PATH.replace(ID, "1"), "id"), (f"{PATH}?deletes=1", "deletes"), (f"{PATH}?note=%00", "note")],
)
def test_a_bad_id_and_a_bad_query_are_refused(
    client: TestClient, target: str, parameter: str
) -> None:
    response = send(client, "{}", target)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
