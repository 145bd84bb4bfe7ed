import asyncio

import pytest
from psycopg2.errors import InsufficientPrivilege, UndefinedTable

from conftest import Listener
from features.health.ready import repository


def test_one_select_compares_the_migrations_of_this_code(listener: Listener) -> None:
    listener.rows = [{"migrated": True}]
    assert asyncio.run(repository.migrated()) is True
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert sql.startswith("select array_agg(name) @> %(names)s::text[] as migrated ")
    assert "001_initial_schema.sql" in values["names"]


@pytest.mark.parametrize("answer", [False, None])
def test_a_missing_migration_is_pending_also_where_there_is_none(
    listener: Listener, answer: bool | None
) -> None:
    listener.rows = [{"migrated": answer}]
    assert asyncio.run(repository.migrated()) is False


def test_a_database_without_the_table_is_not_migrated(listener: Listener) -> None:
    listener.error = UndefinedTable()
    assert asyncio.run(repository.migrated()) is False


def test_another_error_passes_untouched(listener: Listener) -> None:
    listener.error = InsufficientPrivilege()
    with pytest.raises(InsufficientPrivilege):
        asyncio.run(repository.migrated())
