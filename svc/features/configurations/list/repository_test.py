import asyncio

from conftest import Listener
from features.configurations.list import repository


def test_one_select_reads_the_page_behind_an_id_without_the_documents(listener: Listener) -> None:
    listener.rows = [{"id": "D", "application_id": "A", "name": "production", "comments": None}]
    assert asyncio.run(repository.list_after("C", "A", "production", 3)) is listener.rows
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert "(%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))" in sql
    assert sql.startswith("select id, application_id, name, comments from configurations where ")
    assert "(%(after)s::text is null or id > %(after)s) and " in sql
    assert "(%(application_id)s::text is null or application_id = %(application_id)s) and " in sql
    assert "(%(name)s::text is null or name = %(name)s) " in sql
    assert sql.endswith(" order by id limit %(limit)s")
    assert values == {"after": "C", "application_id": "A", "name": "production", "limit": 3}


def test_what_is_not_asked_for_is_null(listener: Listener) -> None:
    assert asyncio.run(repository.list_after(None, None, None, 101)) == []
    [(_, _, values)] = listener.statements
    assert values == {"after": None, "application_id": None, "name": None, "limit": 101}
