from fastapi.testclient import TestClient

from dev.bench import floor


def test_the_floor_answers_the_least_that_is_json() -> None:
    answer = TestClient(floor.app).get("/1")
    assert (answer.json(), answer.headers["Content-Type"]) == ({}, "application/json")
