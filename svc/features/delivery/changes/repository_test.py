import asyncio

import pytest

from conftest import Listener
from features.delivery.changes import repository


def test_one_select_reads_the_changes_behind_a_number_in_their_order(listener: Listener) -> None:
    listener.rows = [{"sequence": 8}, {"sequence": 9}]
    assert asyncio.run(repository.list_after("A", 7, 2)) == listener.rows
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert "where application_id = %(id)s and sequence > %(after)s" in sql
    assert "order by sequence limit %(limit)s" in sql
    assert values == {"id": "A", "after": 7, "limit": 2}


def test_an_application_with_nothing_to_tell_has_no_changes(listener: Listener) -> None:
    listener.rows = [{"sequence": None, "name": None}]
    assert asyncio.run(repository.list_after("A", 7, 2)) == []


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.list_after("A", 7, 2))
