import asyncio

import pytest
from psycopg2.errors import UniqueViolation

from conftest import Listener, violation
from features.applications.replace import repository


def test_one_update_changes_the_row_of_that_id(listener: Listener) -> None:
    listener.rows = [{"id": "A", "name": "billing", "comments": None}]
    assert asyncio.run(repository.replace("A", "billing", None)) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "write"
    assert sql.startswith("update applications set name = %(name)s, comments = %(comments)s ")
    assert sql.endswith(" where id = %(id)s returning id, name, comments")
    assert values == {"id": "A", "name": "billing", "comments": None}


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.replace("A", "billing", None))


def test_the_unique_name_is_taken(listener: Listener) -> None:
    listener.error = violation(UniqueViolation, "applications_name_key")
    with pytest.raises(repository.NameTaken):
        asyncio.run(repository.replace("A", "billing", None))


def test_another_constraint_passes_untouched(listener: Listener) -> None:
    listener.error = violation(UniqueViolation, "applications_pkey")
    with pytest.raises(UniqueViolation) as raised:
        asyncio.run(repository.replace("A", "billing", None))
    assert raised.value is listener.error
