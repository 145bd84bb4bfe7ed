"""The order of an application's changes: places without gaps, times that never go back, and what
was committed together."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection, make_dsn

import migrations
from conftest import Tables, eventually

RECORDED = """
    select sequence, end_of_transaction(application_id, sequence) from configuration_revisions
    where application_id = %s order by sequence
"""


@pytest.fixture
def psql(dsn: str) -> Iterator[connection]:
    """A person's own connection, whose transaction goes on until `commit`."""
    with closing(psycopg2.connect(dsn)) as opened:
        yield opened


def type_in(psql: connection, *statements: str) -> None:
    with psql.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_each_application_counts_its_changes_without_a_gap(tables: Tables) -> None:
    owners = tables.application("a"), tables.application("b")
    for name in "xyz":
        for owner in owners:
            tables.configuration(owner, name)
    tables.rows("delete from configurations where name = 'y'")
    for owner in owners:
        sequences = tables.rows(
            "select sequence from configuration_revisions where application_id = %s"
            " order by sequence",
            owner,
        )
        assert sequences == [(1,), (2,), (3,), (4,)]


def test_what_is_undone_takes_no_number(tables: Tables, psql: connection) -> None:
    owner = tables.application()
    tables.configuration(owner, "a")
    type_in(psql, "update configurations set comments = 'undone'")
    psql.rollback()
    tables.configuration(owner, "b")
    assert tables.rows(RECORDED, owner) == [(1, 1), (2, 2)]


def test_what_is_trimmed_is_not_counted_again(tables: Tables) -> None:
    owner = tables.application()
    tables.configuration(owner)
    tables.rows(
        "set config_service.history_keep_revisions = 1;"
        "update configurations set comments = 'a'; update configurations set comments = 'b';"
        "reset config_service.history_keep_revisions"
    )
    tables.rows("update configurations set comments = 'c'")
    assert [sequence for sequence, _ in tables.rows(RECORDED, owner)] == [3, 4]


def test_the_statements_of_one_transaction_are_one_and_those_of_two_are_two(
    tables: Tables, psql: connection
) -> None:
    owner = tables.application()
    for name in "abc":
        tables.configuration(owner, name)
    type_in(
        psql,
        "update configurations set comments = 'x' where name <> 'c'",
        "delete from configurations where name = 'a'",
    )
    psql.commit()
    type_in(psql, "update configurations set comments = 'y'")
    psql.commit()
    assert tables.rows(RECORDED, owner) == [
        *((1, 1), (2, 2), (3, 3)),
        *((4, 6), (5, 6), (6, 6)),
        *((7, 8), (8, 8)),
    ]


@pytest.mark.parametrize(
    "statements",
    [
        ("{a}", "savepoint s", "{b}", "rollback to s", "{c}"),
        ("savepoint s", "{a}", "rollback to s", "{b}", "{c}"),
        ("savepoint s", "{a}", "release s", "{b}"),
        ("savepoint s", "{a}", "release s", "savepoint s", "{b}", "rollback to s", "{c}"),
    ],
)
def test_a_savepoint_that_is_undone_leaves_no_gap_and_divides_no_transaction(
    tables: Tables, psql: connection, statements: tuple[str, ...]
) -> None:
    owner = tables.application()
    changes = {name: f"update configurations set comments = '{name}'" for name in "abc"}
    tables.configuration(owner)
    type_in(psql, *(statement.format(**changes) for statement in statements))
    psql.commit()
    assert tables.rows(RECORDED, owner) == [(1, 1), (2, 3), (3, 3)]


def test_a_statement_over_several_applications_is_one_transaction_in_each(tables: Tables) -> None:
    owners = [tables.application(name) for name in "abc"]
    for owner in owners:
        tables.configuration(owner, "x")
        tables.configuration(owner, "y")
    tables.rows("update configurations set comments = 'together'")
    tables.rows("delete from configurations where name = 'x'")
    for owner in owners:
        assert tables.rows(RECORDED, owner) == [(1, 1), (2, 2), (3, 4), (4, 4), (5, 5)]
    numbers = "select count(distinct transaction_id) from configuration_revisions where sequence"
    assert tables.rows(f"{numbers} in (3, 4)") == tables.rows(f"{numbers} = 5") == [(1,)]


def test_the_end_of_a_transaction_is_known_from_each_of_its_changes_and_from_no_other(
    tables: Tables,
) -> None:
    owner, other = tables.application("a"), tables.application("b")
    for name in "xyz":
        tables.configuration(owner, name)
        tables.configuration(other, name)
    tables.rows("update configurations set comments = 'x' where application_id = %s", owner)
    [ends] = tables.rows(
        "select array_agg(end_of_transaction(%s, given) order by given)"
        " from generate_series(1, 6) as given",
        owner,
    )
    assert ends == ([1, 2, 3, 6, 6, 6],)
    assert tables.rows("select end_of_transaction(%s, null)", tables.application("c")) == [(None,)]


TIMES = """
    select array_agg(sequence order by recorded_at, sequence)
        = array_agg(sequence order by sequence)
    from configuration_revisions
"""


def test_a_transaction_that_began_first_and_changes_last_has_the_later_time(
    tables: Tables, psql: connection
) -> None:
    tables.configuration(tables.application())
    type_in(psql, "select now()")
    tables.rows("update configurations set comments = 'began later'")
    type_in(psql, "update configurations set comments = 'began first'")
    psql.commit()
    assert tables.rows(
        "select comments from configuration_revisions order by sequence desc limit 2"
    ) == [("began first",), ("began later",)]
    assert tables.rows(TIMES) == [(True,)]


def test_a_change_that_waits_for_another_has_its_place_and_its_time_behind_it(
    tables: Tables, psql: connection
) -> None:
    owner = tables.application()
    tables.configuration(owner, "first")
    tables.configuration(owner, "second")
    type_in(psql, "update configurations set comments = 'x' where name = 'first'")

    def blocked() -> bool:
        with psql.cursor() as cursor:
            cursor.execute(
                "select from pg_locks join pg_database on pg_database.oid = database"
                " where datname = current_database() and locktype = 'advisory' and not granted"
            )
            return cursor.rowcount > 0

    with ThreadPoolExecutor(1) as other:
        change = "update configurations set comments = 'y' where name = 'second'"
        waits = other.submit(tables.rows, change)
        eventually(blocked)
        type_in(psql, "update configurations set comments = 'z' where name = 'first'")
        psql.commit()
        waits.result()
    assert tables.rows(RECORDED, owner) == [(1, 1), (2, 2), (3, 4), (4, 4), (5, 5)]
    assert tables.rows(TIMES) == [(True,)]


def test_where_the_clock_was_set_back_a_change_has_the_time_of_the_one_before(
    tables: Tables,
) -> None:
    owner, other = tables.application("a"), tables.application("b")
    configuration = tables.configuration(owner)
    tables.rows(
        "insert into configuration_revisions"
        " (configuration_id, revision, sequence, application_id, name, config, action, recorded_at)"
        " values (%s, 1000, 2, %s, 'x', '{}', 'update', '2100-01-01Z')",
        *(configuration, owner),
    )
    tables.rows("update configurations set comments = 'new'")
    tables.configuration(other)
    latest = "select recorded_at = '2100-01-01Z' from configuration_revisions where sequence = %s"
    assert tables.rows(f"{latest} and application_id = %s", 3, owner) == [(True,)]
    # Another application goes by the clock.
    assert tables.rows(f"{latest} and application_id = %s", 1, other) == [(False,)]


def test_history_says_why_only_for_the_transaction_that_was_told(
    tables: Tables, psql: connection
) -> None:
    tables.configuration(tables.application())
    type_in(
        psql,
        "set local config_service.note = 'why'",
        "update configurations set comments = 'a'",
        "update configurations set comments = 'b'",
    )
    psql.commit()
    type_in(psql, "update configurations set comments = 'c'")
    psql.commit()
    notes = tables.rows("select note, actor from configuration_revisions order by sequence")
    assert [note for note, _ in notes] == [None, "why", "why", None]
    assert {actor for _, actor in notes} == {"anonymous"}


# Databases from before.


@pytest.fixture
def old(dsn: str, db: connection, tmp_path: Path) -> Iterator[connection]:
    """A database of the version before, on which each statement commits."""
    for file in sorted(migrations.FOLDER.glob("0*.sql")):
        if file.name < "014":
            shutil.copy(file, tmp_path)
    name = f"{db.info.dbname}_old"
    with db.cursor() as cursor:
        cursor.execute(f'drop database if exists "{name}" with (force)')
        cursor.execute(f'create database "{name}"')
    list(migrations.migrate(make_dsn(dsn, dbname=name), tmp_path))
    with closing(psycopg2.connect(dsn, dbname=name)) as opened:
        opened.autocommit = True
        yield opened
    with db.cursor() as cursor:
        cursor.execute(f'drop database "{name}" with (force)')


def test_the_history_of_a_database_from_before_goes_on_behind_its_last(
    old: connection, dsn: str
) -> None:
    def rows(sql: str) -> list[tuple[Any, ...]]:
        with old.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    rows("insert into applications (id, name) values ('01BRZ3NDEA0000000000000001', 'a')")
    rows("insert into applications (id, name) values ('01BRZ3NDEA0000000000000002', 'b')")
    rows(
        "insert into configurations (id, application_id, name, config)"
        " select '01BRZ3NDEC000000000000000' || n, '01BRZ3NDEA000000000000000' || n, 'x', '{}'"
        " from generate_series(1, 2) as n"
    )
    # The numbers of before have gaps: other applications took some, and what was undone.
    rows("begin; update configurations set comments = 'undone'; rollback")
    rows("begin; update configurations set comments = 'x'; update configurations set name = 'y'")
    rows("commit")
    before = "select application_id, revision, sequence, note, transaction_id"
    recorded = " from configuration_revisions order by application_id, sequence"
    sequences = rows(f"select application_id, sequence{recorded}")
    assert {sequence for _, sequence in sequences} == {1, 2, 5, 6, 7, 8}

    name = old.info.dbname
    assert list(migrations.migrate(make_dsn(dsn, dbname=name)))[:1] == ["014_content.sql"]
    rows("update configurations set comments = 'new'")
    told = rows(before + recorded)
    for owner in {one[0] for one in told}:
        *kept, (_, revision, sequence, note, transaction) = [one for one in told if one[0] == owner]
        assert [(one[0], one[2]) for one in kept] == [one for one in sequences if one[0] == owner]
        assert {one[3:] for one in kept} == {(None, None)}
        assert (revision, sequence, note) == (4, kept[-1][2] + 1, None)
        assert transaction is not None
    # Each change from before counts as a transaction of its own.
    ends = rows(f"select end_of_transaction(application_id, sequence) = sequence{recorded}")
    assert ends == [(True,)] * 8


def test_the_version_before_goes_on_working_while_the_new_one_is_brought_in(
    old: connection, dsn: str
) -> None:
    """What it has prepared, and what it tells history, still holds."""
    owner, made = "01BRZ3NDEA0000000000000001", "01BRZ3NDEC0000000000000001"
    with old.cursor() as cursor:
        cursor.execute("insert into applications (id, name) values (%s, 'a')", [owner])
        cursor.execute(
            "insert into configurations (id, application_id, name, config)"
            " values (%s, %s, 'x', '{}')",
            [made, owner],
        )
        cursor.execute("prepare change as update configurations set comments = $1")
        cursor.execute("prepare list as select sequence, actor from configuration_revisions")
        cursor.execute("execute list")
        list(migrations.migrate(make_dsn(dsn, dbname=old.info.dbname)))
        cursor.execute(
            "select set_config('config_service.actor', 'ann', true); execute change ('new')"
        )
        cursor.execute("execute list")
        assert sorted(cursor.fetchall()) == [(1, "anonymous"), (2, "ann")]
