import asyncio
from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

import database
from features.health.ready import handler, repository


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


@pytest.mark.parametrize(("migrated", "status"), [(True, 200), (False, 503)])
def test_ready_is_what_has_no_pending_migration(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, migrated: bool, status: int
) -> None:
    async def answer() -> bool:
        return migrated

    monkeypatch.setattr(repository, "migrated", answer)
    response = client.get("/health/ready")
    assert response.status_code == status
    assert response.json()["status"] == ("ready" if migrated else 503)
    assert ("Retry-After" in response.headers) is not migrated


def test_a_database_out_of_reach_is_not_ready(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def out_of_reach() -> bool:
        raise database.Unavailable("The database is out of reach.")

    monkeypatch.setattr(repository, "migrated", out_of_reach)
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert "Retry-After" in response.headers


def test_a_database_slower_than_two_seconds_is_not_ready(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow() -> bool:
        await asyncio.sleep(5)
        return True

    assert handler.TIMEOUT_SECONDS == 2
    monkeypatch.setattr(handler, "TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(repository, "migrated", slow)
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert "Retry-After" in response.headers


def test_a_query_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def migrated() -> bool:
        return True

    monkeypatch.setattr(repository, "migrated", migrated)
    assert client.get("/health/ready?deep=true").status_code == 400
