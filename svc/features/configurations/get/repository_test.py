import asyncio

import pytest

from conftest import Listener
from features.configurations.get import repository


def test_one_select_reads_the_row_of_that_id_as_text(listener: Listener) -> None:
    listener.rows = [{"revision": 7, "body": '{"rate":1.10}'}]
    assert asyncio.run(repository.get("C")) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "find"
    assert "(%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))" in sql
    assert "select row_to_json(answer)::text " in sql
    assert "(select id, application_id, name, comments, config) as answer" in sql
    assert " as body from configurations where id = any(%(ids)s)" in sql
    assert values == {"id": "C"}


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.get("C"))
