from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.checks.get import handler, repository

ID = "01K3Z6F4N9T6P8Q2D5E7F0H1J2"
PATH = f"/api/v1/checks/{ID}"
BODY = {"id": ID, "application_id": ID, "schema_id": ID, "layers": ["a"], "optional": []}


@pytest.fixture
def client(
    serve: Callable[[ModuleType], TestClient], monkeypatch: pytest.MonkeyPatch
) -> TestClient:
    async def get(id: str) -> dict[str, object]:
        if id != ID:
            raise repository.NotFound
        return BODY | {"revision": 7}

    monkeypatch.setattr(repository, "get", get)
    return serve(handler)


def test_the_answer_is_the_check_with_its_tag(client: TestClient) -> None:
    response = client.get(PATH.replace(ID, ID.lower()))
    assert (response.status_code, response.json()) == (200, BODY)
    assert response.headers["ETag"] == '"7"'
    assert response.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(("known", "status"), [('"7"', 304), ("*", 304), ('"6"', 200), ("7", 400)])
def test_what_is_known_already_is_not_sent_again(
    client: TestClient, known: str, status: int
) -> None:
    response = client.get(PATH, headers={"If-None-Match": known})
    assert response.status_code == status
    if status == 304:
        assert (response.content, response.headers["ETag"]) == (b"", '"7"')


def test_a_missing_check_is_not_found(client: TestClient) -> None:
    response = client.get(PATH.replace("J2", "J3"))
    assert (response.status_code, response.json()["detail"]) == (404, "There is no such check.")


@pytest.mark.parametrize(("target", "parameter"), [("1", "id"), (f"{ID}?limit=1", "limit")])
def test_a_bad_id_and_a_query_are_refused(client: TestClient, target: str, parameter: str) -> None:
    response = client.get(f"/api/v1/checks/{target}")
    assert response.status_code == 400
    assert [error["parameter"] for error in response.json()["errors"]] == [parameter]
