import asyncio
import json
from itertools import product
from typing import Any

import database
from conftest import Repositories, Tables
from features.applications.list import repository


def listed(run: Repositories, *asked: Any, **caller: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(repository.list_after(*asked), **caller)["body"])
    return found


def test_a_page_begins_behind_an_id_and_ends_with_the_limit(
    run: Repositories, tables: Tables
) -> None:
    ids = sorted(tables.application(f"application {n}") for n in range(5))

    def page(after: str | None, limit: int) -> tuple[list[str], str | None]:
        found = run(repository.list_after(after, None, limit))
        return [one["id"] for one in json.loads(found["body"])], found["next"]

    assert page(None, 1000) == (ids, None)
    assert page(None, 5) == (ids, None)
    assert page(None, 2) == (ids[:2], ids[1])
    assert page(ids[1], 2) == (ids[2:4], ids[3])
    assert page(ids[4], 2) == ([], None)
    assert page("0" * 26, 1) == (ids[:1], ids[0])


def test_a_row_has_what_a_list_shows(run: Repositories, tables: Tables) -> None:
    application = tables.application("é")
    [page] = {run(repository.list_after(None, name, 10))["body"] for name in (None, "é")}
    assert page == f'[{{"id":"{application}","name":"é","comments":null}}]'


def test_pages_that_are_asked_for_together_are_each_as_if_asked_for_alone(
    run: Repositories, tables: Tables
) -> None:
    for number in range(200):
        tables.application(f"application {number}")
    # A page of a hundred is too large for a batch.
    rows = tables.rows("update applications set comments = repeat('x', 1024) returning id")
    names = [None, "application 7", "none"]
    asked = list(product([None, rows[0][0], rows[-1][0]], names, [1, 100, 1000]))

    async def together() -> list[database.Row]:
        return await asyncio.gather(*(repository.list_after(*one) for one in asked))

    def seen(page: database.Row) -> tuple[str, str | None]:
        return page["body"], page["next"]

    alone = [seen(run(repository.list_after(*one))) for one in asked]
    assert list(map(seen, run(together()))) == alone


def test_a_name_is_found_exactly(run: Repositories, tables: Tables) -> None:
    application = tables.application("a_b%")
    tables.application("a_b")
    tables.application("A_B%")
    assert [row["id"] for row in listed(run, None, "a_b%", 10)] == [application]
    assert listed(run, application, "a_b%", 10) == []


def test_a_confined_caller_sees_one_application_at_most(run: Repositories, tables: Tables) -> None:
    own, other = tables.application("own"), tables.application("other")
    for confined_to in (own, "own"):
        for name in (None, "own"):
            found = listed(run, None, name, 10, confined_to=confined_to)
            assert [row["id"] for row in found] == [own]
            assert listed(run, own, name, 10, confined_to=confined_to) == []
        assert listed(run, None, "other", 10, confined_to=confined_to) == []
    assert listed(run, None, None, 10, confined_to="nothing") == []
    assert other != own
