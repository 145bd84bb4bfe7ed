from collections.abc import Callable
from types import ModuleType

from fastapi.testclient import TestClient

from conftest import Listener
from features.health.live import handler


def test_a_process_that_serves_is_alive_whatever_the_database_does(
    serve: Callable[[ModuleType], TestClient], listener: Listener
) -> None:
    response = serve(handler).get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert listener.statements == []


def test_a_query_is_refused(serve: Callable[[ModuleType], TestClient]) -> None:
    assert serve(handler).get("/health?deep=true").status_code == 400
