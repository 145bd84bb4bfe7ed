import asyncio

import pytest

import database
from conftest import Listener
from features.configurations.list import repository


def test_one_select_reads_the_page_behind_an_id_without_the_documents(listener: Listener) -> None:
    listener.rows = [{"id": "D", "application_id": "A", "name": "production", "comments": None}]
    assert asyncio.run(repository.list_after("C", "A", "production", 3)) is listener.rows
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert sql.startswith("select id, application_id, name, comments from configurations where ")
    assert "(%(after)s::text is null or id > %(after)s) and " in sql
    assert "(%(name)s::text is null or name = %(name)s) and " in sql
    assert (
        "(%(application_id)s::text is null and %(confined_to)s::text is null or application_id"
        " = any(array[ coalesce(%(application_id)s, confinement(%(confined_to)s)) ])) and "
    ) in sql
    assert (
        "(%(application_id)s::text is null or %(confined_to)s::text is null"
        " or %(application_id)s = confinement(%(confined_to)s)) "
    ) in sql
    assert values == {"after": "C", "application_id": "A", "name": "production", "limit": 3}


def test_what_is_not_asked_for_is_null(listener: Listener) -> None:
    assert asyncio.run(repository.list_after(None, None, None, 101)) == []
    [(_, _, values)] = listener.statements
    assert values == {"after": None, "application_id": None, "name": None, "limit": 101}


@pytest.mark.parametrize(
    ("application_id", "confined_to", "order"),
    [
        (None, None, "id"),
        ("A", None, "application_id, id"),
        (None, "billing", "application_id, id"),
    ],
)
def test_the_order_is_that_of_the_ids_by_the_index_of_what_is_asked_for(
    listener: Listener,
    monkeypatch: pytest.MonkeyPatch,
    application_id: str | None,
    confined_to: str | None,
    order: str,
) -> None:
    monkeypatch.setattr(database, "confined_to", lambda: confined_to)
    asyncio.run(repository.list_after(None, application_id, None, 3))
    assert listener.statements[0][1].endswith(f" order by {order} limit %(limit)s")
