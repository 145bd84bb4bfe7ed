import asyncio
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.testclient import TestClient

from edge import problems
from wire.changes import AS_USUAL, CHANGE, DRY_RUN, Change, asked, state
from wire.route import ExactRoute

changing = APIRouter(route_class=ExactRoute, dependencies=[CHANGE])
trying = APIRouter(route_class=ExactRoute, dependencies=[DRY_RUN])


@changing.post("/configurations")
async def change_configurations() -> list[Any]:
    return list(asked.get())


@changing.delete("/configurations")
async def delete_configurations() -> Response:
    return Response(status_code=204, headers=state(7, None))


@trying.post("/applications")
async def change_applications(limit: int = 1) -> list[Any]:
    return [*asked.get(), limit]


app = FastAPI(exception_handlers=problems.HANDLERS)
app.include_router(changing)
app.include_router(trying)
client = TestClient(app)


def refused(target: str) -> list[str]:
    """The parameters that are at fault."""
    answer = client.post(target)
    assert answer.status_code == 400
    return [error["parameter"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("query", "note", "dry_run"),
    [
        ("", "", False),
        ("?dry_run=false", "", False),
        ("?dry_run=true", "", True),
        ("?note=", "", False),
        ("?note=Refunds+count%20twice", "Refunds count twice", False),
        ("?note=why&dry_run=true", "why", True),
        ("?note=+%0A", " \n", False),
        (f"?note={quote('ü' * 1024)}", "ü" * 1024, False),
        (f"?note={quote('😀' * 1024)}", "😀" * 1024, False),
    ],
)
def test_a_change_says_why_and_whether_it_is_only_tried(
    query: str, note: str, dry_run: bool
) -> None:
    assert client.post(f"/configurations{query}").json() == [note, dry_run]


@pytest.mark.parametrize("value", ["", "1", "0", "True", "TRUE", "yes", "on", "true%20", "null"])
@pytest.mark.parametrize("path", ["/configurations", "/applications"])
def test_a_dry_run_is_true_or_false_and_nothing_else(path: str, value: str) -> None:
    assert refused(f"{path}?dry_run={value}") == ["dry_run"]


@pytest.mark.parametrize("value", ["x" * 1025, "a%00", "%00"])
def test_a_note_that_is_too_long_or_has_a_nul_is_refused(value: str) -> None:
    assert refused(f"/configurations?note={value}") == ["note"]


@pytest.mark.parametrize(
    "query", ["dry_run=true&dry_run=true", "dry_run=true&dry_run=false", "note=a&note=a"]
)
def test_neither_may_be_given_twice(query: str) -> None:
    assert refused(f"/configurations?{query}") == [query.partition("=")[0]]


def test_what_changes_no_history_takes_no_note() -> None:
    assert refused("/applications?note=why") == ["note"]
    assert refused("/applications?dry_run=true&note=") == ["note"]
    assert client.post("/applications?dry_run=true&limit=2").json() == ["", True, 2]


def test_what_is_wrong_is_told_together_with_what_the_route_itself_takes() -> None:
    assert refused("/configurations?dry_run=x&note=%00") == ["dry_run", "note"]
    assert refused("/applications?dry_run=x&limit=y") == ["dry_run", "limit"]


def test_the_tag_is_that_of_the_state_afterwards_or_of_a_dry_run_that_of_before() -> None:
    async def tags(change: Change) -> list[str | None]:
        asked.set(change)
        return [state(*given).get("ETag") for given in ((6, 7), (None, 1), (7, None), (0, 3))]

    for usual in (AS_USUAL, Change("why")):
        assert asyncio.run(tags(usual)) == ['"7"', '"1"', None, '"3"']
    assert asyncio.run(tags(Change(dry_run=True))) == ['"6"', None, '"7"', '"0"']


def test_an_answer_without_a_body_has_the_tag_of_its_dry_run() -> None:
    assert client.delete("/configurations?dry_run=true").headers["ETag"] == '"7"'
    assert "ETag" not in client.delete("/configurations").headers


def test_both_are_described() -> None:
    paths = app.openapi()["paths"]
    described = {one["name"]: one for one in paths["/configurations"]["post"]["parameters"]}
    assert described["dry_run"]["schema"]["type"] == "boolean"
    note = described["note"]["schema"]
    assert (note["type"], note["maxLength"]) == ("string", 1024)
    assert not any(one["required"] for one in described.values())
    names = {one["name"] for one in paths["/applications"]["post"]["parameters"]}
    assert names == {"dry_run", "limit"}
