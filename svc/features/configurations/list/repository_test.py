import asyncio
import json
from itertools import product
from typing import Any

import pytest

import database
from conftest import Repositories, Tables
from features.configurations.list import repository


def listed(run: Repositories, *asked: Any, **caller: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(repository.list_after(*asked), **caller)["body"])
    return found


@pytest.mark.parametrize("of_one", [True, False])
def test_a_page_begins_behind_an_id_and_ends_with_the_limit(
    run: Repositories, tables: Tables, of_one: bool
) -> None:
    owner = tables.application()
    ids = sorted(tables.configuration(owner, f"configuration {n}") for n in range(5))
    application_id = owner if of_one else None

    def page(after: str | None, limit: int) -> tuple[list[str], str | None]:
        found = run(repository.list_after(after, application_id, None, limit))
        return [one["id"] for one in json.loads(found["body"])], found["next"]

    assert page(None, 1000) == (ids, None)
    assert page(None, 5) == (ids, None)
    assert page(None, 2) == (ids[:2], ids[1])
    assert page(ids[1], 2) == (ids[2:4], ids[3])
    assert page(ids[4], 2) == ([], None)


def test_a_row_has_what_a_list_shows_without_the_document(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    configuration = tables.configuration(owner, "é")
    [page] = {
        run(repository.list_after(None, *of, 10))["body"] for of in [(None, None), (owner, "é")]
    }
    assert page == (
        f'[{{"id":"{configuration}","application_id":"{owner}","name":"é","comments":null}}]'
    )


def test_pages_that_are_asked_for_together_are_each_as_if_asked_for_alone(
    run: Repositories, tables: Tables
) -> None:
    owners = [tables.application(name) for name in ("own", "other")]
    for owner in owners:
        for name in ("a", "b", *map(str, range(100))):
            tables.configuration(owner, name)
    # A page of a hundred is too large for a batch.
    rows = tables.rows("update configurations set comments = repeat('x', 1024) returning id")
    asked = list(product([None, rows[0][0]], [None, *owners], [None, "a", "b", "none"], [1, 1000]))

    async def together() -> list[database.Row]:
        return await asyncio.gather(*(repository.list_after(*one) for one in asked))

    def seen(page: database.Row) -> tuple[str, str | None]:
        return page["body"], page["next"]

    alone = [seen(run(repository.list_after(*one))) for one in asked]
    assert list(map(seen, run(together()))) == alone


def test_an_application_and_a_name_narrow_the_list_each_and_together(
    run: Repositories, tables: Tables
) -> None:
    own, other = tables.application("own"), tables.application("other")
    a, b = tables.configuration(own, "a"), tables.configuration(own, "b")
    c = tables.configuration(other, "a")

    def found(application_id: str | None, name: str | None) -> set[str]:
        return {row["id"] for row in listed(run, None, application_id, name, 10)}

    assert found(None, None) == {a, b, c}
    assert found(own, None) == {a, b}
    assert found(None, "a") == {a, c}
    assert found(other, "a") == {c}
    assert found(other, "b") == set()
    assert found("01ARZ3NDEKTSV4RRFFQ69G5FAV", None) == set()


def test_a_confined_caller_sees_nothing_of_other_applications(
    run: Repositories, tables: Tables
) -> None:
    own, other = tables.application("own"), tables.application("other")
    mine, _ = tables.configuration(own), tables.configuration(other)
    for confined_to in (own, "own"):
        for application_id in (None, own):
            found = listed(run, None, application_id, None, 10, confined_to=confined_to)
            assert [row["id"] for row in found] == [mine]
        assert listed(run, None, other, None, 10, confined_to=confined_to) == []
    assert listed(run, None, None, None, 10, confined_to="nothing") == []
