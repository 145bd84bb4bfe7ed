import asyncio
from collections.abc import Iterator
from unittest.mock import MagicMock

import pytest
from psycopg2.extensions import connection, make_dsn
from pydantic import SecretStr

import database
from config import Settings
from features.health.ready import repository
from wire.changes import Change


def migrated(dsn: str) -> bool:
    async def ask() -> bool:
        settings = Settings(database_url=SecretStr(dsn))
        async with database.opened(settings, database.Caller, Change, MagicMock()):
            return await repository.migrated()

    return asyncio.run(ask())


@pytest.fixture
def recorded(db: connection) -> Iterator[connection]:
    """A connection to a database with all migrations, whose record is put back at the end."""
    with db.cursor() as cursor:
        cursor.execute("create table as_recorded as select * from migrations")
        yield db
        cursor.execute(
            "delete from migrations; insert into migrations select * from as_recorded;"
            "drop table as_recorded"
        )


def test_a_database_with_all_migrations_is_migrated(dsn: str) -> None:
    assert migrated(dsn)


def test_a_newer_database_is_migrated(dsn: str, recorded: connection) -> None:
    with recorded.cursor() as cursor:
        cursor.execute("insert into migrations values (999, '999_newer.sql', '')")
    assert migrated(dsn)


def test_a_database_that_lacks_a_migration_or_all_of_them_is_not_migrated(
    dsn: str, recorded: connection
) -> None:
    with recorded.cursor() as cursor:
        cursor.execute("delete from migrations where number = 2")
        assert not migrated(dsn)
        cursor.execute("delete from migrations")
        assert not migrated(dsn)


def test_an_empty_database_says_that_it_is_not_migrated(dsn: str) -> None:
    with pytest.raises(database.Unavailable, match="a migration is pending"):
        migrated(make_dsn(dsn, dbname="postgres"))
