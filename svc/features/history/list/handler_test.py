from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.history.list import handler, repository

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
PATH = f"/api/v1/configurations/{ID}/revisions"


def row(revision: int) -> dict[str, object]:
    told = {"action": "update", "actor": "ann", "name": "production", "note": None}
    return {"revision": revision, **told, "recorded_at": "2026-01-02T00:00:00.000000Z"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    asked: list[object] = []

    async def list_before(*given: object) -> list[dict[str, object]]:
        asked.append(given)
        return [row(9), row(8), row(7)]

    monkeypatch.setattr(repository, "list_before", list_before)
    return asked


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


def test_a_history_that_fits_one_page_has_no_link(client: TestClient, asked: list[object]) -> None:
    response = client.get(PATH.replace(ID, ID.lower()))
    assert response.status_code == 200
    assert [one["revision"] for one in response.json()] == [9, 8, 7]
    assert response.json()[0] == {
        "revision": 9,
        "action": "update",
        "actor": "ann",
        "recorded_at": "2026-01-02T00:00:00.000000Z",
        "name": "production",
        "note": None,
    }
    assert "Link" not in response.headers
    assert asked == [(ID, None, 101)]


def test_the_link_leads_to_the_revisions_before_the_last_of_the_page(
    client: TestClient, asked: list[object]
) -> None:
    response = client.get(f"{PATH}?limit=2&before=12")
    assert [one["revision"] for one in response.json()] == [9, 8]
    assert response.headers["Link"] == f'<{PATH}?limit=2&before=8>; rel="next"'
    assert asked == [(ID, 12, 3)]


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the repository was asked for; its pages go on before revision 8."""
    asked: list[object] = []

    async def list_changes_of(*given: object) -> dict[str, object]:
        asked.append(given)
        return {"body": '[{"revision":9,"value":1.10}]', "before": 8}

    monkeypatch.setattr(repository, "list_changes_of", list_changes_of)
    return asked


def test_with_a_path_the_changes_of_that_value_are_told_untouched(
    client: TestClient, asked: list[object], changes: list[object]
) -> None:
    response = client.get(f"{PATH}?path=/vat/a~1b%7E0&limit=2&before=12")
    assert (response.status_code, response.text) == (200, '[{"revision":9,"value":1.10}]')
    assert response.headers["Content-Type"] == "application/json"
    target = f"{PATH}?limit=2&before=8&path=%2Fvat%2Fa~1b~0"
    assert response.headers["Link"] == f'<{target}>; rel="next"'
    assert client.get(target).status_code == 200
    assert client.get(f"{PATH}?path=").status_code == 200
    assert changes == [
        (ID, ["vat", "a/b~"], 12, 2),
        (ID, ["vat", "a/b~"], 8, 2),
        (ID, [], None, 100),
    ]
    assert asked == []


def test_where_all_was_read_there_is_no_link(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def list_changes_of(*_: object) -> dict[str, object]:
        return {"body": "[]", "before": None}

    monkeypatch.setattr(repository, "list_changes_of", list_changes_of)
    response = client.get(f"{PATH}?path=/a")
    assert (response.text, "Link" in response.headers) == ("[]", False)


@pytest.mark.parametrize(
    ("function", "query"), [("list_before", ""), ("list_changes_of", "?path=/a")]
)
def test_a_configuration_that_never_was_is_not_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, function: str, query: str
) -> None:
    async def fail(*_: object) -> None:
        raise repository.NotFound

    monkeypatch.setattr(repository, function, fail)
    assert client.get(PATH + query).status_code == 404


@pytest.mark.parametrize(
    ("target", "parameter"),
    [
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?before=0", "before"),
        ("?before=-1", "before"),
        (f"?before={2**63}", "before"),
        ("?before=7.0", "before"),
        ("?after=7", "after"),
        ("?before=7&before=8", "before"),
        ("?path=vat", "path"),
        ("?path=/a~2", "path"),
        ("?path=/a%00", "path"),
        ("?path=/a&path=/b", "path"),
    ],
)
def test_a_bad_query_is_refused(
    client: TestClient, asked: list[object], target: str, parameter: str
) -> None:
    response = client.get(PATH + target)
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
    assert asked == []


def test_a_path_that_is_no_ulid_is_refused(client: TestClient) -> None:
    response = client.get("/api/v1/configurations/1/revisions")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == ["id"]
