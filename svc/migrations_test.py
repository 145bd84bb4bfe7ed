import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection, cursor, make_dsn

import migrations
from conftest import eventually
from migrations import ATTEMPTS, Migration, MigrationError, applied, load, pending
from wire.types import new_ulid

AT = datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))

type Record = tuple[int, str, str, datetime]


class Database:
    """In the place of PostgreSQL and of a connection to it: knows the table `migrations`, keeps
    each statement, and fails where a text of `failures` is in it."""

    def __init__(self, records: list[Record] | None = None) -> None:
        self.records = records
        self.statements: list[str] = []
        self.failures: list[tuple[str, Exception]] = []
        self.lock_is_taken = 0
        self.autocommit = False
        self.closed = False
        self.connection = self
        self._rows: list[Any] = []

    def connect(self, dsn: str, **_: object) -> "Database":
        assert dsn == "dsn"
        self.closed = False
        return self

    def close(self) -> None:
        self.closed = True

    def cursor(self) -> "Database":
        return self

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str, values: Any = None) -> None:
        assert not self.closed
        self.statements.append(sql)
        if self.failures and self.failures[0][0] in sql:
            raise self.failures.pop(0)[1]
        self._rows = []
        if "to_regclass" in sql:
            self._rows = [(self.records is not None,)]
        elif "pg_try_advisory_lock" in sql:
            self.lock_is_taken -= 1
            self._rows = [(self.lock_is_taken < 0,)]
        elif sql.startswith("create table if not exists migrations"):
            self.records = self.records or []
        elif sql.startswith("insert into migrations"):
            assert self.records is not None
            self.records.append((*values, AT))
        elif sql.startswith("select number"):
            self._rows = list(self.records or [])

    def fetchone(self) -> Any:
        return self._rows[0]

    def fetchall(self) -> list[Any]:
        return self._rows

    @property
    def of_migrations(self) -> list[str]:
        """The statements that run migrations and record them."""
        start = next(n for n, sql in enumerate(self.statements) if sql.startswith("select number"))
        return self.statements[start + 1 :]


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    stand_in = Database()
    monkeypatch.setattr(psycopg2, "connect", stand_in.connect)
    return stand_in


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been slept."""
    slept: list[float] = []
    now = SimpleNamespace(sleep=slept.append, monotonic=lambda: sum(slept))
    monkeypatch.setattr(migrations, "time", now)
    return slept


type Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files, given as `_001_name="select 1"`, into a folder of migrations."""

    def write(**files: str | bytes) -> Path:
        for name, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            (tmp_path / f"{name[1:]}.sql").write_bytes(data)
        return tmp_path

    return write


def lock_not_available() -> Exception:
    return psycopg2.errors.LockNotAvailable()


def failure(message: str | None, sqlstate: str | None) -> Exception:
    """psycopg2's error, as PostgreSQL words it."""
    diag = SimpleNamespace(message_primary=message)
    kind = psycopg2.DatabaseError
    error: Exception = type("Failure", (kind,), {"pgcode": sqlstate, "diag": diag})("DETAIL: data")
    return error


def test_files_are_ordered_by_number_and_not_by_text(write: Write) -> None:
    found = load(write(_0002_b="select 2", _001_a="select 1", _0000000003_c="select 3"))
    assert [(one.number, one.sql) for one in found] == [(n, f"select {n}") for n in (1, 2, 3)]


def test_an_empty_folder_has_no_migrations(tmp_path: Path) -> None:
    assert load(tmp_path) == []


def test_a_gap_is_refused_and_named(write: Write) -> None:
    with pytest.raises(MigrationError, match=r"^004_d\.sql: number 003 is missing"):
        load(write(_001_a="", _002_b="", _004_d=""))


def test_the_first_number_is_1(write: Write) -> None:
    with pytest.raises(MigrationError, match=r"^002_b\.sql: number 001 is missing"):
        load(write(_002_b=""))


def test_a_number_that_is_there_twice_is_refused(write: Write) -> None:
    with pytest.raises(MigrationError, match=r"^002_[bc]\.sql: its number is there twice"):
        load(write(_001_a="", _002_b="", _002_c="", _003_d=""))


@pytest.mark.parametrize(
    "name",
    ["01_a", "1_a", "001", "001_", "001-a", "001_A", "001_a b", "a_001", "001_a.down", "x001_a"],
)
def test_a_file_of_another_name_is_refused_and_named(write: Write, name: str) -> None:
    with pytest.raises(MigrationError, match=f"^{name}.sql: not a name such as"):
        load(write(**{f"_{name}": ""}))


def test_what_is_no_sql_file_is_passed_over(write: Write) -> None:
    folder = write(_001_a="")
    (folder / "README.md").write_text("no")
    assert [migration.name for migration in load(folder)] == ["001_a.sql"]


def test_the_checksum_is_that_of_the_text_with_lf(write: Write) -> None:
    text = "select 'é';\nselect 2;\n"
    files = {
        "_001_a": text.encode(),
        "_002_a": text.replace("\n", "\r\n").encode(),
        "_003_a": text.encode("utf-8-sig"),
        "_004_a": text.replace("\n", "\r\n").encode("utf-8-sig"),
    }
    found = load(write(**files))
    assert {migration.sql for migration in found} == {text}
    assert {one.checksum for one in found} == {hashlib.sha256(text.encode()).hexdigest()}


@pytest.mark.parametrize("text", ["select  1", "select 1 ", "select 1\n", "-- x\nselect 1", ""])
def test_any_other_text_has_another_checksum(write: Write, text: str) -> None:
    one, other = load(write(_001_a="select 1", _002_b=text))
    assert one.checksum != other.checksum


def test_only_a_first_line_takes_a_file_out_of_the_transaction(write: Write) -> None:
    within, without = load(
        write(
            _001_a="select 1;\n-- no-transaction",
            _002_b="-- no-transaction\ncreate index concurrently on a (b)",
        )
    )
    assert within.in_transaction
    assert not without.in_transaction


def test_the_migrations_of_this_service_are_in_order() -> None:
    found = load()
    assert found[0].name == "001_initial_schema.sql"
    assert len(found) == len(list(migrations.FOLDER.iterdir()))


ONE = Migration(1, "001_a.sql", "select 1", "c1")
TWO = Migration(2, "002_b.sql", "select 2", "c2")
THREE = Migration(3, "003_c.sql", "select 3", "c3")


def record(migration: Migration) -> Record:
    return migration.number, migration.name, migration.checksum, AT


def test_a_database_without_the_table_has_nothing_applied() -> None:
    empty: Any = Database()
    assert applied(empty) == {}
    assert pending([ONE, TWO], empty) == [ONE, TWO]


def test_what_is_applied_is_known_by_number() -> None:
    database: Any = Database([record(ONE), record(TWO)])
    assert applied(database) == {1: ("001_a.sql", "c1", AT), 2: ("002_b.sql", "c2", AT)}


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_what_is_not_applied_is_pending_in_order(done: int) -> None:
    every = [ONE, TWO, THREE]
    database: Any = Database([record(migration) for migration in every[:done]])
    assert pending(every, database) == every[done:]


def test_a_migration_between_applied_ones_is_pending() -> None:
    database: Any = Database([record(ONE), record(THREE)])
    assert pending([ONE, TWO, THREE], database) == [TWO]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (
            [record(ONE), record(TWO), record(THREE)],
            r"^003_c\.sql: applied, but not .* the database is newer than this code$",
        ),
        ([(1, "001_z.sql", "c1", AT)], r"^001_a\.sql: applied under the name 001_z\.sql$"),
        ([record(ONE), (2, "002_b.sql", "c9", AT)], r"^002_b\.sql: changed since it was applied$"),
        ([(0, "000_z.sql", "c0", AT)], r"^000_z\.sql: applied, but not among the files$"),
    ],
)
def test_a_database_that_does_not_fit_the_files_is_refused_with_the_file_s_name(
    records: list[Record], message: str
) -> None:
    database: Any = Database(records)
    with pytest.raises(MigrationError, match=message):
        pending([ONE, TWO], database)


def run(folder: Path) -> list[str]:
    return list(migrations.migrate("dsn", folder))


def test_each_migration_commits_together_with_its_row(write: Write, database: Database) -> None:
    folder = write(_001_a="select '%';", _002_b="select 2;")
    assert run(folder) == ["001_a.sql", "002_b.sql"]
    assert database.autocommit
    one, two = load(folder)
    assert database.records == [record(one), record(two)]
    begin, sql, release, insert, commit, *second = database.of_migrations
    assert begin.startswith("begin; set local lock_timeout")
    assert (sql, commit) == ("select '%';", "commit")
    assert insert.startswith("insert into migrations")
    assert second == [begin, "select 2;", release, insert, commit]
    assert database.closed


def test_a_second_run_applies_what_came_since_and_nothing_twice(
    write: Write, database: Database
) -> None:
    assert run(write(_001_a="select 1;")) == ["001_a.sql"]
    assert run(write()) == []
    assert run(write(_002_b="select 2;")) == ["002_b.sql"]
    assert database.statements.count("select 1;") == 1


def test_a_file_without_a_transaction_is_run_without_one(write: Write, database: Database) -> None:
    sql = "-- no-transaction\ncreate index concurrently a on b (c);"
    assert run(write(_001_a=sql)) == ["001_a.sql"]
    assert database.of_migrations[0] == sql
    assert not {"begin", "commit"} & set(database.statements)


def test_nothing_is_looked_at_before_the_lock_is_held(
    write: Write, database: Database, naps: list[float]
) -> None:
    database.lock_is_taken = 3
    assert run(write(_001_a="select 1;")) == ["001_a.sql"]
    assert all("pg_try_advisory_lock" in sql for sql in database.statements[:4])
    assert sum("lock(" in sql for sql in database.statements) == 4
    assert naps == [0.1, 0.1, 0.1, 0]


def test_a_lock_that_stays_taken_ends_the_runner(
    write: Write, database: Database, naps: list[float]
) -> None:
    database.lock_is_taken = 1_000_000
    with pytest.raises(MigrationError, match="another runner"):
        run(write(_001_a="select 1;"))
    assert database.records is None
    assert database.closed
    assert naps


def test_a_migration_steps_back_from_a_table_that_is_locked_and_tries_again(
    write: Write, database: Database, naps: list[float]
) -> None:
    database.failures = [("alter", lock_not_available())] * 2
    assert run(write(_001_a="alter table a add b int;")) == ["001_a.sql"]
    steps = [sql.split(";")[0] for sql in database.of_migrations]
    assert [step for step in steps if " " not in step] == [
        *("begin", "rollback") * 2,
        *("begin", "commit"),
    ]
    assert naps == [0, 1, 2]


def test_a_table_that_stays_locked_ends_the_runner_with_nothing_applied(
    write: Write, database: Database, naps: list[float]
) -> None:
    database.failures = [("alter", lock_not_available())] * ATTEMPTS
    with pytest.raises(MigrationError, match=r"^001_a\.sql: a lock it needs stays taken$"):
        run(write(_001_a="alter table a add b int;"))
    assert database.records == []
    assert database.statements[-1] == "rollback"
    assert len(naps) == ATTEMPTS


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (failure('relation "a" exists', "42P07"), r'^002_b\.sql: relation "a" exists \(42P07\)$'),
        (failure(None, None), r"^002_b\.sql: the connection was lost \(None\)$"),
    ],
)
@pytest.mark.parametrize("where", ["select 2;", "insert into migrations", "commit"])
def test_a_migration_that_fails_ends_the_runner_and_leaves_those_before_it(
    write: Write, database: Database, where: str, error: Exception, message: str
) -> None:
    folder = write(_001_a="select 1;", _002_b="select 2;", _003_c="select 3;")
    migrating = migrations.migrate("dsn", folder)
    assert next(migrating) == "001_a.sql"
    database.failures = [(where, error)]
    with pytest.raises(MigrationError, match=message):
        next(migrating)
    assert "select 3;" not in database.statements
    assert database.closed


@pytest.fixture
def new(dsn: str, db: connection) -> Iterator[str]:
    """The DSN of an empty database on the real PostgreSQL."""
    name = f"{db.info.dbname}_new"
    with db.cursor() as cursor:
        cursor.execute(f'drop database if exists "{name}" with (force)')
        cursor.execute(f'create database "{name}"')
        yield make_dsn(dsn, dbname=name)
        cursor.execute(f'drop database "{name}" with (force)')


def tables(dsn: str) -> set[str]:
    """Those that migrations made."""
    with closing(psycopg2.connect(dsn)) as looking, looking.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'public'")
        return {name for (name,) in cursor.fetchall()} - {"migrations"}


@pytest.mark.parametrize(
    ("sql", "stays"),
    [
        ("create table a (); commit", {"a"}),
        ("create table a (); COMMIT; create table b ()", {"a", "b"}),
        ("create table a (); commit; begin; create table b ()", {"a"}),
        ("create table a (); rollback; create table b ()", {"b"}),
        ("create table a (); end; begin; create table b (); commit; begin", {"a", "b"}),
        ("create table a (); select E'\\''; commit; select ''''", {"a"}),
        ("create table a (); /* /* */ ' */ rollback; select ''''", set[str]()),
        ("do $a$ begin create table a (); end $a$; abort", set[str]()),
        # What fails is behind the commit.
        ("create table a (); commit; create table a ()", {"a"}),
        ("create table a (); commit; do $$ begin raise lock_not_available; end $$", {"a"}),
        ("create table a (); commit; begin; select 1 / 0", {"a"}),
        ("create table a (); commit; begin; do $$ begin raise lock_not_available; end $$", {"a"}),
    ],
)
def test_a_file_that_ends_the_runner_s_transaction_is_named_and_not_recorded(
    write: Write, new: str, sql: str, stays: set[str]
) -> None:
    with pytest.raises(MigrationError, match=r"^001_a\.sql: it ended the runner's transaction"):
        list(migrations.migrate(new, write(_001_a=sql)))
    assert tables(new) == stays
    assert list(migrations.status(new, write())) == ["001_a.sql  pending"]


@pytest.mark.parametrize(
    "sql",
    [
        "create function f() returns int language sql begin atomic select 1; end",
        "create function f() returns int language plpgsql as $$ begin return 1; end; $$;",
        "do $a$ begin execute $$ select '; commit;' $$; end; $a$",
        "select 'it''s; commit; '; /* /* commit; */ ; commit; */ -- ; rollback;",
        "savepoint a; select 1; rollback to savepoint a",
        "create table commits (beginning int); alter table commits add commit int",
    ],
)
def test_begin_commit_and_rollback_may_stand_where_they_end_no_transaction(
    write: Write, new: str, sql: str
) -> None:
    folder = write(_001_a=sql)
    assert list(migrations.migrate(new, folder)) == ["001_a.sql"]
    assert list(migrations.migrate(new, folder)) == []


def test_a_file_that_fails_leaves_nothing_of_it_behind(write: Write, new: str) -> None:
    folder = write(_001_a="create table a ()", _002_b="create table b (); create table a ()")
    with pytest.raises(MigrationError, match=r'^002_b\.sql: relation "a" already exists \(42P07\)'):
        list(migrations.migrate(new, folder))
    assert tables(new) == {"a"}


def waiting(cursor: cursor) -> int:
    """How many wait for a lock in the database."""
    cursor.execute(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    )
    [(count,)] = cursor.fetchall()
    return int(count)


def test_014_lets_a_change_that_is_under_way_finish_as_it_began(tmp_path: Path, new: str) -> None:
    for migration in load()[:13]:
        (tmp_path / migration.name).write_text(migration.sql)
    list(migrations.migrate(new, tmp_path))
    content = load()[13]
    (tmp_path / content.name).write_text(content.sql)
    with (
        closing(psycopg2.connect(new)) as first,
        closing(psycopg2.connect(new)) as second,
        closing(psycopg2.connect(new)) as looking,
        first.cursor() as one,
        second.cursor() as two,
        looking.cursor() as look,
        ThreadPoolExecutor(2) as threads,
    ):
        looking.autocommit = second.autocommit = True
        owner = new_ulid()
        look.execute("insert into applications (id, name) values (%s, 'owner')", [owner])
        for name in ("one", "two"):
            look.execute(
                "insert into configurations (id, application_id, name, config)"
                " values (%s, %s, %s, '{}')",
                [new_ulid(), owner, name],
            )
        one.execute("delete from configurations where name = 'one'")
        # It waits for the first one's place in the order, in a function that 014 replaces.
        under_way = threads.submit(two.execute, "delete from configurations where name = 'two'")
        eventually(lambda: waiting(look) == 1)
        migrating = threads.submit(list, migrations.migrate(new, tmp_path))
        eventually(lambda: waiting(look) == 2)
        first.commit()
        under_way.result()
        assert migrating.result() == [content.name]
        look.execute("select name, action from configuration_revisions order by sequence")
        assert look.fetchall()[2:] == [("one", "delete"), ("two", "delete")]


def test_files_that_are_wrong_stop_the_runner_before_it_connects(
    write: Write, database: Database
) -> None:
    with pytest.raises(MigrationError):
        run(write(_002_b="select 2;"))
    assert database.statements == []


def test_status_says_what_is_applied_since_when_and_what_is_pending(
    write: Write, database: Database
) -> None:
    folder = write(_001_a="select 1;", _002_b="select 2;")
    database.records = [record(load(folder)[0])]
    assert list(migrations.status("dsn", folder)) == [
        "001_a.sql  applied 2026-01-02T03:04:05Z",
        "002_b.sql  pending",
    ]
    assert database.closed


def test_status_changes_nothing(write: Write, database: Database) -> None:
    assert list(migrations.status("dsn", write(_001_a="select 1;"))) == ["001_a.sql  pending"]
    assert database.records is None
    assert all(sql.startswith("select ") for sql in database.statements)


def test_nothing_is_in_the_way_where_everything_is_applied(database: Database) -> None:
    database.records = [record(migration) for migration in load()]
    assert migrations.obstacle("dsn") is None


def test_pending_migrations_are_in_the_way(database: Database) -> None:
    database.records = [record(migration) for migration in load()[:-1]]
    assert str(migrations.obstacle("dsn")).startswith("a migration is pending")


def test_a_newer_database_is_in_nobody_s_way(database: Database) -> None:
    newer = Migration(999, "999_newer.sql", "", "c")
    database.records = [record(migration) for migration in [*load(), newer]]
    assert migrations.obstacle("dsn") is None


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (b"connection to h failed\n\tIs the server running?\n", "connection to h failed"),
        (b"", "the connection was lost"),
        ("le mot de passe a échoué\n".encode("latin-1"), "le mot de passe a �chou�"),
    ],
)
def test_a_database_out_of_reach_is_in_the_way_in_one_line(
    monkeypatch: pytest.MonkeyPatch, said: bytes, line: str
) -> None:
    def connect(*_: object, **__: object) -> None:
        raise psycopg2.OperationalError(said.decode())

    monkeypatch.setattr(psycopg2, "connect", connect)
    assert migrations.obstacle("dsn") == line


type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line: exit status, what it wrote, and what it wrote to the standard error."""
    monkeypatch.setattr(migrations, "settings", lambda: SimpleNamespace(direct_url="dsn"))

    def command(*arguments: str) -> tuple[int, str, str]:
        status = migrations.main(list(arguments))
        return status, *capsys.readouterr()

    return command


def answering(*names: str, error: Exception | None = None) -> Callable[[str], Iterator[str]]:
    """A replacement of `migrate` or `status`."""

    def answer(dsn: str) -> Iterator[str]:
        assert dsn == "dsn"
        yield from names
        if error:
            raise error

    return answer


def test_the_command_says_what_it_applied(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "migrate", answering("001_a.sql", "002_b.sql"))
    lines = "migrations: 001_a.sql applied\nmigrations: 002_b.sql applied\n"
    assert command() == (0, lines, "")


def test_the_command_says_that_nothing_was_to_be_applied(
    command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "migrate", answering())
    assert command() == (0, "migrations: nothing to apply\n", "")


def test_the_command_shows_the_status(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "status", answering("001_a.sql  pending"))
    assert command("status") == (0, "001_a.sql  pending\n", "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MigrationError("002_b.sql: changed"), "migrations: 002_b.sql: changed\n"),
        (psycopg2.OperationalError("no route\n\tto host\n"), "migrations: no route\n"),
        (psycopg2.OperationalError(), "migrations: the connection was lost\n"),
    ],
)
def test_a_failure_is_one_line_and_exit_status_1_behind_what_was_applied(
    command: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    monkeypatch.setattr(migrations, "migrate", answering("001_a.sql", error=error))
    assert command() == (1, "migrations: 001_a.sql applied\n", line)
    monkeypatch.setattr(migrations, "status", answering(error=error))
    assert command("status") == (1, "", line)


@pytest.mark.parametrize("arguments", [["up"], ["status", "status"], ["--help"], [""]])
def test_wrong_usage_is_exit_status_2_and_touches_nothing(
    command: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def never(_: str) -> Iterator[str]:
        raise AssertionError("it ran")

    monkeypatch.setattr(migrations, "migrate", never)
    monkeypatch.setattr(migrations, "status", never)
    assert command(*arguments) == (2, "", "usage: python -m migrations [status]\n")
