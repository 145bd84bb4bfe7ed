from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from config import settings
from features.content.replace import handler, repository

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

    async def replace(id: str, items: dict[str, Any], *more: object) -> dict[str, object]:
        told = {name: (item.comments, item.config) for name, item in items.items()}
        asked.append((id, told, *more))
        return {"previous": 46, "sequence": 47, "body": BODY}

    monkeypatch.setattr(repository, "replace", replace)
    return asked


def refuse(monkeypatch: pytest.MonkeyPatch, refusal: Exception) -> None:
    async def replace(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(repository, "replace", replace)


def send(client: TestClient, items: str, path: str = PATH, if_match: str | None = "*") -> Any:
    headers = {"Content-Type": "application/json"}
    if if_match:
        headers["If-Match"] = if_match
    return client.put(path, content=f'{{"configurations": {items}}}', headers=headers)


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json().get("errors", [])]


def test_the_documents_go_in_and_the_answer_out_untouched(
    client: TestClient, asked: list[object]
) -> None:
    items = '{"a": {"config": {"rate": 1.10}}, "b": {"comments": "ours", "config": {}}}'
    response = send(client, items, PATH.replace(ID, ID.lower()))
    assert (response.status_code, response.text) == (200, BODY)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"47"'
    got = '{"a": {"revision": 3, "comments": null, "config": {}}}, "sequence": 46'
    assert send(client, got, f"{PATH}?deletes=2", '"0", "46"').status_code == 200
    assert asked == [
        (ID, {"a": (None, '{"rate": 1.10}'), "b": ("ours", "{}")}, 0, None),
        (ID, {"a": (None, "{}")}, 2, [0, 46]),
    ]


def test_a_dry_run_has_the_tag_of_the_change_before(
    client: TestClient, asked: list[object]
) -> None:
    tags = [
        send(client, "{}", f"{PATH}?dry_run={value}&note=why").headers["ETag"]
        for value in ("true", "false")
    ]
    assert tags == ['"46"', '"47"']


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(("if_match", "status"), [('"3"', 412), (None, 428)])
def test_another_change_is_refused_with_its_tag_and_so_is_a_put_without_if_match(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    if_match: str | None,
    status: int,
    required: bool,
) -> None:
    async def fail(*given: object) -> None:
        assert given[-1] == ([3] if if_match else [])
        raise repository.PreconditionFailed(0)

    monkeypatch.setattr(repository, "replace", fail)
    monkeypatch.setattr(settings(), "require_if_match", required)
    response = send(client, "{}", if_match=if_match)
    assert (response.status_code, response.headers["ETag"]) == (status, '"0"')


@pytest.mark.parametrize(
    ("number", "names", "detail"),
    [
        (
            1,
            ["it's"],
            "The number of configurations that this deletes is 1 (“it's”), not 7."
            " If that is meant, say deletes=1.",
        ),
        (
            3,
            ["a", "b", "c"],
            "The number of configurations that this deletes is 3 (“a”, “b”, “c”), not 7."
            " If that is meant, say deletes=3.",
        ),
        (
            31,
            ["a", "b", "c", "d"],
            "The number of configurations that this deletes is 31 (“a”, “b”, “c”, …), not 7."
            " If that is meant, say deletes=31.",
        ),
        (
            0,
            [],
            "The number of configurations that this deletes is 0, not 7."
            " If that is meant, say deletes=0.",
        ),
    ],
)
def test_another_number_of_deletions_is_a_conflict_that_names_it_and_the_first_of_them(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    names: list[str],
    detail: str,
) -> None:
    refuse(monkeypatch, repository.OtherDeletions(number, names))
    response = send(client, "{}", f"{PATH}?deletes=7")
    assert (response.status_code, response.json()["detail"]) == (409, detail)


def test_documents_that_are_too_large_to_give_back_are_pointed_at(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, repository.TooLarge(["a", "b/c"]))
    response = send(client, "{}")
    assert response.status_code == 413
    assert pointers(response) == ["/configurations/a", "/configurations/b~1c"]


def test_a_missing_application_is_not_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, repository.NotFound())
    assert send(client, "{}").status_code == 404


@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        ("[]", "/configurations"),
        ('{"a": null}', "/configurations/a"),
        ('{"a": {}}', "/configurations/a/config"),
        ('{"a": {"config": null}}', "/configurations/a/config"),
        ('{"a": {"config": {"b": [1e400]}}}', "/configurations/a/config/b/0"),
        ('{"a": {"config": {}, "comment": "x"}}', "/configurations/a/comment"),
        ('{"a": {"config": {}}, "a": {"config": {}}}', "/configurations/a"),
        ('{" a": {"config": {}}}', "/configurations/ a"),
        ('{}, "name": "a"', "/name"),
    ],
)
def test_what_is_no_content_is_pointed_at(
    client: TestClient, asked: list[object], items: str, pointer: str
) -> None:
    response = send(client, items)
    assert (response.status_code, pointers(response)) == (400, [pointer])
    assert asked == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("deletes=-1", "deletes"),
        ("deletes=", "deletes"),
        ("deletes=1.0", "deletes"),
        ("deletes=all", "deletes"),
        (f"deletes={10**18}", "deletes"),
        ("deletes=1&deletes=1", "deletes"),
        ("dry_run=1", "dry_run"),
        ("force=true", "force"),
    ],
)
def test_a_bad_query_is_refused(
    client: TestClient, asked: list[object], query: str, parameter: str
) -> None:
    response = send(client, "{}", f"{PATH}?{query}")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
    assert asked == []


def test_a_path_that_is_no_ulid_is_refused(client: TestClient) -> None:
    response = send(client, "{}", PATH.replace(ID, "1"))
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["id"]
