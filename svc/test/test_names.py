"""Who had which name, and which state a sequence or a time means: what the database keeps of it,
whatever the changes come from, also of a history from before it kept that."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection, make_dsn

import migrations
from conftest import Tables, eventually

EVER = 2**63 - 1
OWNER, OTHER = f"01BRZ3NDEA{1:016}", f"01BRZ3NDEA{2:016}"
A, B, C, D = (f"01BRZ3NDEC{number:016}" for number in range(4))

type Names = set[tuple[str, str, int, int]]


def names(tables: Tables) -> Names:
    """Of each configuration the names, from a change until another."""
    return set(tables.rows("select configuration_id, name, since, until from configuration_names"))


def points(tables: Tables, given: str) -> list[int | None]:
    """What `point_in_time` says to each element of a query's one row: sequences, or times."""
    kind = "null, one" if "time" in given else "one, null"
    [[found]] = tables.rows(
        f"select array_agg(point_in_time('{OWNER}', {kind}) order by place)"
        f" from unnest(({given})) with ordinality as given (one, place)"
    )
    return list(found)


@pytest.fixture
def applications(tables: Tables) -> Tables:
    """Two applications without configurations."""
    tables.rows(f"insert into applications (id, name) values ('{OWNER}', 'a'), ('{OTHER}', 'b')")
    return tables


def create(tables: Tables, *made: tuple[str, str]) -> None:
    values = ", ".join(f"('{one}', '{OWNER}', '{name}', '{{}}')" for one, name in made)
    tables.rows(f"insert into configurations (id, application_id, name, config) values {values}")


def test_a_name_is_had_from_a_change_until_another_or_a_deletion(applications: Tables) -> None:
    create(applications, (A, "x"), (B, "y"))
    applications.rows("update configurations set comments = 'no other name'")
    applications.rows("update configurations set name = 'z' where name = 'x'")
    applications.rows("update configurations set name = 'x' where name = 'y'")
    assert names(applications) == {
        *((A, "x", 1, 5), (A, "z", 5, EVER)),
        *((B, "y", 2, 6), (B, "x", 6, EVER)),
    }
    applications.rows("delete from configurations where name = 'z'")
    create(applications, (A, "z"), (C, "y"))
    applications.rows(f"delete from applications where id = '{OWNER}'")
    assert names(applications) == {
        *((A, "x", 1, 5), (A, "z", 5, 7), (A, "z", 9, 12)),
        *((B, "y", 2, 6), (B, "x", 6, 10)),
        (C, "y", 8, 11),
    }


def test_a_transaction_may_give_several_names_and_what_is_undone_gives_none(
    applications: Tables,
) -> None:
    create(applications, (A, "x"))
    applications.rows(
        "begin; update configurations set name = 'y'; savepoint here;"
        " update configurations set name = 'undone'; rollback to here;"
        " update configurations set name = 'x'; delete from configurations; commit"
    )
    applications.rows(
        "begin; insert into configurations (id, application_id, name, config)"
        f" values ('{B}', '{OWNER}', 'undone', '{{}}'); rollback"
    )
    assert names(applications) == {(A, "x", 1, 2), (A, "y", 2, 3), (A, "x", 3, 4)}


def test_a_session_that_has_deleted_very_many_finds_the_names_of_one_by_their_index(
    applications: Tables, db: connection
) -> None:
    count = 20_000
    applications.rows(
        "insert into configurations (id, application_id, name, config)"
        " select '01BRZ3NDEC' || lpad(n::text, 16, '0'),"
        f" case when n <= {count} then '{OTHER}' else '{OWNER}' end, n, '{{}}'"
        f" from generate_series(1, {count} + 2) as n"
    )
    applications.rows("analyze configuration_names")
    applications.rows(f"delete from applications where id = '{OTHER}'")
    looked = """
        select
            pg_stat_get_xact_numscans('configuration_names'::regclass),
            pg_stat_get_xact_tuples_returned('configuration_names'::regclass)
    """
    with db.cursor() as cursor:
        for change in (
            "update configurations set name = name || 'x'",
            "delete from configurations",
        ):
            cursor.execute(f"begin; {change} where application_id = '{OWNER}'; {looked}")
            assert cursor.fetchone() == (0, 0)
            cursor.execute("commit")


def test_names_and_transactions_are_kept(applications: Tables) -> None:
    for table in ("configuration_names", "trimmed_changes"):
        with pytest.raises(psycopg2.errors.RestrictViolation):
            applications.rows(f"truncate {table}")


def test_a_sequence_means_the_last_of_its_transaction_and_none_in_the_future(
    applications: Tables,
) -> None:
    assert points(applications, "array[0, 1]") == [0, None]
    create(applications, (A, "x"), (B, "y"))
    applications.rows(
        "begin; update configurations set comments = 'x'; update configurations set name = id;"
        f" insert into configurations (id, application_id, name, config)"
        f" values ('{C}', '{OTHER}', 'elsewhere', '{{}}'); commit"
    )
    applications.rows(f"delete from configurations where id = '{A}'")
    assert points(applications, "select array_agg(n) from generate_series(0, 8) as n") == [
        *(0, 2, 2, 6, 6, 6, 6, 7),
        None,
    ]


def test_a_time_means_the_last_transaction_up_to_it(applications: Tables) -> None:
    times = "array[now() - interval '1h', now(), clock_timestamp(), now() + interval '1h']"
    times += "::timestamptz[]"
    assert points(applications, times) == [0, 0, 0, None]
    create(applications, (A, "x"))
    # Between its two statements the transaction had not been committed.
    applications.rows("begin; update configurations set comments = '1'")
    applications.rows("update configurations set comments = '2'; commit")
    create(applications, (B, "y"))
    recorded = (
        "select array_agg(recorded_at::timestamptz + shift order by sequence, shift)"
        " from configuration_revisions cross join (values (interval '-1us'), ('0')) as s (shift)"
        " where 'time' = 'time'"
    )
    assert points(applications, recorded) == [0, 1, 1, 1, 1, 3, 3, 4]


def test_what_is_not_committed_does_not_count(applications: Tables, dsn: str) -> None:
    create(applications, (A, "x"))
    now = "array[clock_timestamp()]::timestamptz[]"
    with closing(psycopg2.connect(dsn)) as other, other.cursor() as writing:
        writing.execute("update configurations set comments = 'later'")
        assert points(applications, now) == [1]
        assert points(applications, "array[2]") == [None]
        other.commit()
    assert points(applications, now) == [2]
    assert points(applications, "array[1, 2]") == [1, 2]


def test_where_two_changes_have_one_time_it_means_the_later(applications: Tables) -> None:
    create(applications, (A, "x"), (B, "y"))
    applications.rows(
        "insert into configuration_revisions (configuration_id, revision, sequence, application_id,"
        " name, config, action, recorded_at, transaction_id) select %s, 1, 3, application_id, 'z',"
        " config, 'create', recorded_at, 7 from configuration_revisions where sequence = 1",
        C,
    )
    times = (
        "select array_agg(recorded_at::timestamptz) from configuration_revisions where 'time' > ''"
    )
    assert points(applications, times) == [3, 3, 3]


def test_what_is_trimmed_still_has_its_transaction_its_time_and_its_name(
    applications: Tables,
) -> None:
    create(applications, (A, "x"), (B, "y"))
    applications.rows("update configurations set name = id")
    kept = names(applications), points(applications, "array[0, 1, 2, 3, 4]")
    [[times]] = applications.rows(
        "select array_agg(recorded_at::text order by sequence) from configuration_revisions"
    )
    of_times = f"'{{{','.join(times)}}}'::timestamptz[]"
    assert points(applications, of_times) == [2, 2, 4, 4]
    applications.rows("set config_service.history_keep_revisions = 1")
    applications.rows("update configurations set comments = 'new'")
    applications.rows("reset config_service.history_keep_revisions")
    assert applications.rows("select count(*) from configuration_revisions") == [(2,)]
    assert (names(applications), points(applications, "array[0, 1, 2, 3, 4]")) == kept
    assert points(applications, of_times) == [2, 2, 4, 4]


# Histories from before.


@pytest.fixture
def old(dsn: str, db: connection, tmp_path: Path) -> Iterator[Tables]:
    """A database of the version before, with the two applications."""
    for file in sorted(migrations.FOLDER.glob("0*.sql")):
        if file.name < "015":
            shutil.copy(file, tmp_path)
    name = f"{db.info.dbname}_old_test"
    with db.cursor() as cursor:
        cursor.execute(f'drop database if exists "{name}" with (force)')
        cursor.execute(f'create database "{name}"')
    list(migrations.migrate(make_dsn(dsn, dbname=name), tmp_path))
    with closing(psycopg2.connect(dsn, dbname=name)) as opened:
        opened.autocommit = True
        tables = Tables(opened)
        tables.rows(
            f"insert into applications (id, name) values ('{OWNER}', 'a'), ('{OTHER}', 'b')"
        )
        yield tables
    with db.cursor() as cursor:
        cursor.execute(f'drop database "{name}"')


def migrate(old: Tables, dsn: str) -> None:
    [[name]] = old.rows("select current_database()")
    assert list(migrations.migrate(make_dsn(dsn, dbname=name)))[:1] == ["015_any_time.sql"]


def test_the_names_from_before_are_those_that_would_have_been_kept(old: Tables, dsn: str) -> None:
    create(old, (A, "x"), (B, "y"), (C, "z"))
    for change in (
        "update configurations set comments = 'no other name'",
        f"delete from configurations where id = '{A}'",
        f"update configurations set name = 'x' where id = '{B}'",
        f"update configurations set name = 'y' where id = '{B}'",
        f"insert into configurations (id, application_id, name, config)"
        f" values ('{A}', '{OWNER}', 'x', '{{}}')",
        f"delete from configurations where id = '{C}'",
        f"begin; delete from configurations where id = '{A}'; insert into configurations"
        f" (id, application_id, name, config) values ('{A}', '{OWNER}', 'new', '{{}}'); commit",
    ):
        old.rows(change)
    migrate(old, dsn)
    expected = {
        *((A, "x", 1, 7), (A, "x", 10, 12), (A, "new", 13, EVER)),
        *((B, "y", 2, 8), (B, "x", 8, 9), (B, "y", 9, EVER)),
        (C, "z", 3, 11),
    }
    assert names(old) == expected
    # They go on as they would have.
    old.rows(f"update configurations set name = 'x' where id = '{A}'")
    assert names(old) - expected == {(A, "new", 13, 14), (A, "x", 14, EVER)}


def test_what_was_trimmed_before_counts_as_of_the_first_name_that_is_left(
    old: Tables, dsn: str
) -> None:
    create(old, (D, "first"), (A, "x"), (B, "y"), (C, "z"))
    old.rows("set config_service.history_keep_revisions = 1")
    old.rows(f"update configurations set name = 'new' where id = '{A}'")
    old.rows(f"delete from configurations where id = '{B}'")
    old.rows("set config_service.history_keep_revisions = 2")
    old.rows(f"delete from configurations where id = '{C}'")
    create(old, (C, "again"))
    migrate(old, dsn)
    assert names(old) == {
        (D, "first", 1, EVER),
        (A, "new", 0, EVER),
        (B, "y", 0, 6),
        *((C, "z", 0, 7), (C, "again", 8, EVER)),
    }
    missed = "select count(*) from configurations_at(%s, %s) as was where was.id is null"
    # With 1 and 5 what others had is gone.
    assert [old.rows(missed, OWNER, n)[0][0] for n in (1, 5, 6, 8)] == [3, 2, 1, 0]


def test_the_transactions_from_before_are_known_and_older_changes_are_their_own(
    old: Tables, dsn: str
) -> None:
    # Older than transactions: the numbers have gaps, and the times went back.
    old.rows(
        "insert into configuration_revisions (configuration_id, revision, sequence, application_id,"
        " name, config, action, recorded_at, transaction_id) values"
        + ", ".join(
            f"('{A}', {revision}, {sequence}, '{OWNER}', 'x', '{{}}', 'update', '{time}Z', null)"
            for revision, sequence, time in (
                *((1, 3, "2026-01-01T00:00:01"), (2, 5, "2026-01-01T00:00:03")),
                (3, 6, "2026-01-01T00:00:02"),
            )
        )
    )
    create(old, (B, "y"), (C, "z"))
    old.rows("begin; update configurations set comments = 'x'; delete from configurations; commit")
    migrate(old, dsn)
    sequences = "select array_agg(n) from generate_series(0, 13) as n"
    expected = [0, 0, 0, 3, 3, 5, 6, 8, 8, 12, 12, 12, 12, None]
    assert points(old, sequences) == expected
    times = ", ".join(f"'2026-01-01T00:00:0{second}Z'::timestamptz" for second in range(4))
    assert points(old, f"array[{times}]") == [0, 3, 3, 6]
    create(old, (B, "y"))
    assert points(old, sequences) == [*expected[:-1], 13]


def test_what_is_committed_while_the_migration_runs_is_not_lost(old: Tables, dsn: str) -> None:
    create(old, (A, "x"))
    [[name]] = old.rows("select current_database()")
    with (
        closing(psycopg2.connect(dsn, dbname=name)) as other,
        other.cursor() as writing,
        ThreadPoolExecutor(1) as runner,
    ):
        writing.execute("update configurations set name = 'y'")
        waits = runner.submit(migrate, old, dsn)
        blocked = "select from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"
        eventually(lambda: bool(old.rows(f"{blocked} and datname = current_database()")))
        other.commit()
        waits.result()
    assert names(old) == {(A, "x", 1, 2), (A, "y", 2, EVER)}
