import asyncio

import pytest

from conftest import Listener
from features.history.get import repository


def test_one_select_reads_that_revision_as_text(listener: Listener) -> None:
    listener.rows = [{"body": '{"rate":1.10}'}]
    assert asyncio.run(repository.get("C", 3)) == '{"rate":1.10}'
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert "where configuration_id = %(id)s and revision = %(revision)s" in sql
    assert values == {"id": "C", "revision": 3}


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.get("C", 3))
