from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.checks.list import handler, repository

OWNER = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
IDS = [f"01K3Z6F4N9T6P8Q2D5E7F0H1J{digit}" for digit in range(4)]
ROWS: list[dict[str, Any]] = [
    {"id": one, "application_id": OWNER, "schema_id": OWNER, "layers": ["a"], "optional": []}
    for one in IDS
]


@pytest.fixture
def asked() -> list[tuple[object, ...]]:
    return []


@pytest.fixture
def client(
    serve: Callable[[ModuleType], TestClient],
    monkeypatch: pytest.MonkeyPatch,
    asked: list[tuple[object, ...]],
) -> TestClient:
    async def list_after(*given: object) -> list[dict[str, Any]]:
        asked.append(given)
        return ROWS

    monkeypatch.setattr(repository, "list_after", list_after)
    return serve(handler)


def test_the_last_page_has_no_link(client: TestClient, asked: list[tuple[object, ...]]) -> None:
    response = client.get("/api/v1/checks")
    assert (response.status_code, response.json()) == (200, ROWS)
    assert "Link" not in response.headers
    assert asked == [(None, None, 101)]


def test_where_more_follow_the_link_leads_on_with_the_filters(
    client: TestClient, asked: list[tuple[object, ...]]
) -> None:
    query = f"application_id={OWNER.lower()}&limit=3&after={IDS[0].lower()}"
    response = client.get(f"/api/v1/checks?{query}")
    assert response.json() == ROWS[:3]
    target = f"/api/v1/checks?application_id={OWNER}&limit=3&after={IDS[2]}"
    assert response.headers["Link"] == f'<{target}>; rel="next"'
    assert asked == [(IDS[0], OWNER, 4)]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "after=1", "application_id=1", "name=a"]
)
def test_any_other_query_is_refused(client: TestClient, query: str) -> None:
    response = client.get(f"/api/v1/checks?{query}")
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["parameter"] == query.partition("=")[0]
