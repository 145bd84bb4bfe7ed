import json
from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.applications.list import handler, repository

IDS = [f"01K3Z5W8Q4R7T2V9X6Y1B3C5D{digit}" for digit in range(4)]
ROWS = [{"id": each, "name": f"app {each[-1]}", "comments": None} for each in IDS]


@pytest.fixture
def asked() -> list[tuple[object, ...]]:
    return []


@pytest.fixture
def client(
    serve: Callable[[ModuleType], TestClient],
    monkeypatch: pytest.MonkeyPatch,
    asked: list[tuple[object, ...]],
) -> TestClient:
    async def list_after(after: str | None, name: str | None, limit: int) -> dict[str, str | None]:
        asked.append((after, name, limit))
        following = IDS[limit - 1] if limit < len(IDS) else None
        return {"body": json.dumps(ROWS[:limit]), "next": following}

    monkeypatch.setattr(repository, "list_after", list_after)
    return serve(handler)


def test_the_last_page_has_no_link(client: TestClient, asked: list[tuple[object, ...]]) -> None:
    response = client.get("/api/v1/applications")
    assert (response.status_code, response.json()) == (200, ROWS)
    assert "Link" not in response.headers
    assert asked == [(None, None, 100)]


def test_where_more_follow_the_link_leads_on_with_the_filter(
    client: TestClient, asked: list[tuple[object, ...]]
) -> None:
    response = client.get(f"/api/v1/applications?limit=2&name=a%26b&after={IDS[0].lower()}")
    assert response.json() == ROWS[:2]
    following = f"/api/v1/applications?name=a%26b&limit=2&after={IDS[1]}"
    assert response.headers["Link"] == f'<{following}>; rel="next"'
    assert asked == [(IDS[0], "a&b", 2)]


@pytest.mark.parametrize("limit", ["1", "1000"])
def test_a_limit_is_1_to_1000(client: TestClient, limit: str) -> None:
    assert client.get(f"/api/v1/applications?limit={limit}").status_code == 200


@pytest.mark.parametrize(
    ("parameter", "query"),
    [
        ("limit", "limit=0"),
        ("limit", "limit=1001"),
        ("limit", "limit=1.0"),
        ("limit", "limit="),
        ("limit", "limit=1&limit=2"),
        ("after", "after=1"),
        ("name", "name="),
        ("name", "name=a%00b"),
        ("application_id", "application_id=01K3Z5W8Q4R7T2V9X6Y1B3C5D7"),
    ],
)
def test_any_other_query_is_refused(client: TestClient, parameter: str, query: str) -> None:
    response = client.get(f"/api/v1/applications?{query}")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
