import asyncio

import pytest

from conftest import Listener
from features.configurations.get import repository


def test_one_select_reads_the_row_of_that_id_as_text(listener: Listener) -> None:
    listener.rows = [{"revision": 7, "body": '{"rate":1.10}'}]
    assert asyncio.run(repository.get("C", 7)) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "read_batched"
    assert "(%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))" in sql
    assert "case when id || revision = any(%(known)s) then null else (" in sql
    assert "select row_to_json(answer)::text " in sql
    assert "(select id, application_id, name, comments, config) as answer" in sql
    assert " as body from configurations where id = any(%(id)s)" in sql
    assert values == {"id": "C", "known": "C7"}


def test_where_no_revision_is_known_none_has_its_name(listener: Listener) -> None:
    listener.rows = [{"revision": 7, "body": "{}"}]
    asyncio.run(repository.get("C", None))
    assert listener.statements[0][2] == {"id": "C", "known": None}


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.get("C", None))
