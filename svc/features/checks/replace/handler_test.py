from collections.abc import Callable
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from features.checks.replace import handler, repository

ID = "01K3Z6F4N9T6P8Q2D5E7F0H1J2"
OWNER = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
SCHEMA = "01K3Z60F2M8S5N7P1C4D6E9G0H"
PATH = f"/api/v1/checks/{ID}"
LEAST = {"schema_id": SCHEMA, "layers": ["a", "b"]}
WHOLE = {"id": ID, "application_id": OWNER} | LEAST | {"optional": ["b"]}


@pytest.fixture
def client(serve: Callable[[ModuleType], TestClient]) -> TestClient:
    return serve(handler)


@pytest.mark.parametrize(("query", "tag"), [("", '"7"'), ("?dry_run=true", '"6"')])
@pytest.mark.parametrize(
    ("body", "given"),
    [
        (LEAST, (ID, None, SCHEMA, ["a", "b"], [], [6])),
        (WHOLE, (ID, OWNER, SCHEMA, ["a", "b"], ["b"], [6])),
    ],
)
def test_the_answer_is_the_check_as_it_is_now(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    tag: str,
    body: dict[str, object],
    given: tuple[object, ...],
) -> None:
    replaced = []

    async def replace(*given: object) -> dict[str, object]:
        replaced.append(given)
        return WHOLE | {"found": 6, "revision": 7}

    monkeypatch.setattr(repository, "replace", replace)
    response = client.put(f"{PATH}{query}", json=body, headers={"If-Match": '"6"'})
    assert (response.status_code, response.json()) == (200, WHOLE)
    assert response.headers["ETag"] == tag
    assert replaced == [given]


@pytest.mark.parametrize(
    ("refusal", "status", "pointers"),
    [
        (repository.NotFound(), 404, None),
        (repository.OtherApplication(), 400, ["/application_id"]),
        (repository.NoSuchSchema(), 400, ["/schema_id"]),
        (repository.PreconditionFailed(7), 428, None),
    ],
)
def test_what_the_repository_refuses_has_its_status(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Exception,
    status: int,
    pointers: list[str] | None,
) -> None:
    async def replace(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(repository, "replace", replace)
    response = client.put(PATH, json=WHOLE)
    assert response.status_code == status
    errors = response.json().get("errors")
    assert (errors and [one["pointer"] for one in errors]) == pointers


def test_another_revision_is_refused_with_its_tag(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def replace(*_: object) -> None:
        raise repository.PreconditionFailed(7)

    monkeypatch.setattr(repository, "replace", replace)
    response = client.put(PATH, json=LEAST, headers={"If-Match": '"3"'})
    assert (response.status_code, response.headers["ETag"]) == (412, '"7"')


@pytest.mark.parametrize(
    ("change", "pointer"), [({"id": SCHEMA}, "/id"), ({"optional": ["c"]}, "/optional")]
)
def test_what_contradicts_itself_is_pointed_at(
    client: TestClient, change: dict[str, object], pointer: str
) -> None:
    response = client.put(PATH, json=WHOLE | change)
    assert response.status_code == 400
    assert [one["pointer"] for one in response.json()["errors"]] == [pointer]
