import asyncio

from conftest import Listener
from features.applications.list import repository


def test_one_select_reads_the_page_behind_an_id(listener: Listener) -> None:
    listener.rows = [{"id": "B", "name": "billing", "comments": None}]
    assert asyncio.run(repository.list_after("A", "billing", 3)) is listener.rows
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert "(%(confined_to)s::text is null or id = confinement(%(confined_to)s))" in sql
    assert sql.startswith("select id, name, comments from applications where ")
    assert "(%(after)s::text is null or id > %(after)s) and " in sql
    assert "(%(name)s::text is null or name = %(name)s) " in sql
    assert sql.endswith(" order by id limit %(limit)s")
    assert values == {"after": "A", "name": "billing", "limit": 3}


def test_what_is_not_asked_for_is_null(listener: Listener) -> None:
    assert asyncio.run(repository.list_after(None, None, 101)) == []
    [(_, _, values)] = listener.statements
    assert values == {"after": None, "name": None, "limit": 101}
