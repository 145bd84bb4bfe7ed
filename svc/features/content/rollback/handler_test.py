from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from config import settings
from features.content.rollback import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
PATH = f"/api/v1/applications/{ID}/rollback"
BODY = '{"sequence":47,"changes":[{"name":"a","patch":[{"value":1.10}]}]}'


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the repository was asked for; the last change was 46, and is 47 then."""
    asked: list[object] = []

    async def rollback(*given: object) -> dict[str, object]:
        asked.append(given)
        return {"previous": 46, "sequence": 47, "body": BODY}

    monkeypatch.setattr(repository, "rollback", rollback)
    return asked


def refuse(monkeypatch: pytest.MonkeyPatch, refusal: Exception) -> None:
    async def rollback(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(repository, "rollback", rollback)


def send(
    client: TestClient, path: str = PATH, body: str = '{"sequence": 17}', if_match: str | None = "*"
) -> Any:
    headers = {"Content-Type": "application/json"}
    if if_match:
        headers["If-Match"] = if_match
    return client.post(path, content=body, headers=headers)


def test_the_sequence_goes_in_and_the_answer_out_untouched(
    client: TestClient, asked: list[object]
) -> None:
    response = send(client, PATH.replace(ID, ID.lower()))
    assert (response.status_code, response.text) == (200, BODY)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == '"47"'
    again = send(client, f"{PATH}?deletes=2", '{"sequence": 0}', '"0", "46"')
    assert again.status_code == 200
    assert asked == [(ID, 17, 0, None), (ID, 0, 2, [0, 46])]


def test_a_dry_run_has_the_tag_of_the_change_before(
    client: TestClient, asked: list[object]
) -> None:
    tags = [
        send(client, f"{PATH}?dry_run={value}&note=why").headers["ETag"]
        for value in ("true", "false")
    ]
    assert tags == ['"46"', '"47"']


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(("if_match", "status"), [('"3"', 412), (None, 428)])
def test_another_change_is_refused_with_its_tag_and_so_is_a_rollback_without_if_match(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    if_match: str | None,
    status: int,
    required: bool,
) -> None:
    async def fail(*given: object) -> None:
        assert given[-1] == ([3] if if_match else [])
        raise repository.PreconditionFailed(0)

    monkeypatch.setattr(repository, "rollback", fail)
    monkeypatch.setattr(settings(), "require_if_match", required)
    response = send(client, if_match=if_match)
    assert (response.status_code, response.headers["ETag"]) == (status, '"0"')


@pytest.mark.parametrize(
    ("number", "names", "which"),
    [
        (1, ["it's"], "1 (“it's”)"),
        (3, ["a", "b", "c"], "3 (“a”, “b”, “c”)"),
        (31, ["a", "b", "c", "d"], "31 (“a”, “b”, “c”, …)"),
        (0, [], "0"),
    ],
)
def test_another_number_of_deletions_is_a_conflict_that_names_it_and_the_first_of_them(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, number: int, names: list[str], which: str
) -> None:
    refuse(monkeypatch, repository.OtherDeletions(number, names))
    response = send(client, f"{PATH}?deletes=7")
    assert (response.status_code, response.json()["detail"]) == (
        409,
        f"The number of configurations that this deletes is {which}, not 7."
        f" If that is meant, say deletes={number}.",
    )


def test_documents_that_are_too_large_by_now_are_named(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, repository.TooLarge(["a", "b/c"]))
    response = send(client)
    assert response.status_code == 413
    assert response.json()["errors"] == [
        {"pointer": "/sequence", "detail": f"“{name}” is too large."} for name in ("a", "b/c")
    ]


@pytest.mark.parametrize(
    ("refusal", "status"), [(repository.NotFound(), 404), (repository.Trimmed(), 410)]
)
def test_what_is_not_there_or_not_any_more_is_told(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, refusal: Exception, status: int
) -> None:
    refuse(monkeypatch, refusal)
    assert send(client).status_code == status


def test_the_future_is_pointed_at(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, repository.InFuture())
    response = send(client)
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {"pointer": "/sequence", "detail": "This is in the future."}
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [("{}", "/sequence"), ('{"sequence": -1}', "/sequence"), ('{"sequence": 1, "a": 1}', "/a")],
)
def test_a_body_that_names_no_sequence_is_pointed_at(
    client: TestClient, asked: list[object], body: str, pointer: str
) -> None:
    response = send(client, body=body)
    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert asked == []


@pytest.mark.parametrize(
    ("target", "parameter"),
    [
        (f"{PATH}?deletes=-1", "deletes"),
        (f"{PATH}?deletes=all", "deletes"),
        (f"{PATH}?dry_run=1", "dry_run"),
        (f"{PATH}?at=17", "at"),
        (PATH.replace(ID, "1"), "id"),
    ],
)
def test_a_bad_id_and_query_are_refused(
    client: TestClient, asked: list[object], target: str, parameter: str
) -> None:
    response = send(client, target)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
    assert asked == []
