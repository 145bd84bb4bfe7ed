from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.checks.create import handler, repository

ID = "01K3Z6F4N9T6P8Q2D5E7F0H1J2"
OWNER = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
SCHEMA = "01K3Z60F2M8S5N7P1C4D6E9G0H"
BODY = {"application_id": OWNER, "schema_id": SCHEMA, "layers": ["a", "b"], "optional": ["b"]}


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


async def created(*given: object) -> dict[str, object]:
    return {"id": ID} | dict(zip(BODY, given, strict=True))


@pytest.mark.parametrize(("query", "tag"), [("", '"1"'), ("?dry_run=true", None)])
def test_the_answer_is_the_check_and_where_it_is(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, query: str, tag: str | None
) -> None:
    monkeypatch.setattr(repository, "create", created)
    response = client.post(f"/api/v1/checks{query}", json=BODY)
    assert (response.status_code, response.json()) == (201, {"id": ID} | BODY)
    assert response.headers["Location"] == f"/api/v1/checks/{ID}"
    assert response.headers.get("ETag") == tag


@pytest.mark.parametrize(
    ("refusal", "status", "pointers"),
    [
        (repository.NoSuchApplication, 400, ["/application_id"]),
        (repository.NoSuchSchema, 400, ["/schema_id"]),
        (repository.TooMany, 409, None),
    ],
)
def test_what_the_repository_refuses_has_its_status(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    refusal: type[Exception],
    status: int,
    pointers: list[str] | None,
) -> None:
    async def create(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(repository, "create", create)
    response = client.post("/api/v1/checks", json=BODY)
    assert response.status_code == status
    errors = response.json().get("errors")
    assert (errors and [one["pointer"] for one in errors]) == pointers


def test_what_is_optional_is_also_a_layer(client: TestClient) -> None:
    response = client.post("/api/v1/checks", json=BODY | {"optional": ["c"]})
    assert response.status_code == 400
    assert [one["pointer"] for one in response.json()["errors"]] == ["/optional"]
