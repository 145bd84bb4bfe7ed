"""Applies `migrations/*.sql` in the order of their numbers, each once and whole.

`python -m migrations` applies what is pending, `python -m migrations status` shows what is applied.
A migration and its row in the table `migrations` commit together; an advisory lock lets one runner
work at a time, however many start. A file that cannot run in a transaction (`create index
concurrently`) says so in its first line, `-- no-transaction`, and holds one statement that may be
repeated.
"""

import hashlib
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection, cursor

from config import settings

FOLDER = Path(__file__).with_name("migrations")
LOCK = int.from_bytes(b"config_s")
LOCK_WAIT_SECONDS = 120
ATTEMPTS = 20

_FILE = re.compile(r"(\d{3,})_[a-z0-9_]+\.sql")


class MigrationError(Exception):
    """The files and the database do not fit together; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `checksum` is the SHA-256 of its text with LF line ends, in hexadecimal."""

    number: int
    name: str
    sql: str
    checksum: str

    @property
    def in_transaction(self) -> bool:
        """Whether it commits together with its row."""
        return not self.sql.startswith("-- no-transaction")


def load(folder: Path = FOLDER) -> list[Migration]:
    """The migrations in `folder` by number: 1, 2, 3 … without gap or duplicate."""
    found = sorted(map(_read, folder.glob("*.sql")), key=lambda migration: migration.number)
    for number, migration in enumerate(found, 1):
        if migration.number < number:
            raise MigrationError(f"{migration.name}: its number is there twice")
        if migration.number > number:
            raise MigrationError(f"{migration.name}: number {number:03} is missing before it")
    return found


def _read(path: Path) -> Migration:
    match = _FILE.fullmatch(path.name)
    if not match:
        raise MigrationError(f"{path.name}: not a name such as 002_add_history.sql")
    sql = path.read_text("utf-8-sig").replace("\r\n", "\n")
    return Migration(int(match[1]), path.name, sql, hashlib.sha256(sql.encode()).hexdigest())


def applied(database: connection) -> dict[int, tuple[str, str, datetime]]:
    """Name, checksum and time of each migration that the database has, by number."""
    with database.cursor() as cursor:
        cursor.execute("select to_regclass('migrations') is not null")
        if cursor.fetchone() == (False,):
            return {}
        cursor.execute("select number, name, checksum, applied_at from migrations order by number")
        return {number: (name, checksum, at) for number, name, checksum, at in cursor.fetchall()}


def pending(migrations: Sequence[Migration], database: connection) -> list[Migration]:
    """What is still to be applied.

    Raises MigrationError where an applied file was changed, renamed or is missing, which is also
    how a database that is newer than the files shows.
    """
    files = {migration.number: migration for migration in migrations}
    done = applied(database)
    for number, (name, checksum, _) in done.items():
        if number not in files:
            newer = ": the database is newer than this code" if number > len(files) else ""
            raise MigrationError(f"{name}: applied, but not among the files{newer}")
        if files[number].name != name:
            raise MigrationError(f"{files[number].name}: applied under the name {name}")
        if files[number].checksum != checksum:
            raise MigrationError(f"{name}: changed since it was applied")
    return [migration for migration in migrations if migration.number not in done]


def migrate(dsn: str, folder: Path = FOLDER) -> Iterator[str]:
    """Applies what is pending and yields each name once it is committed."""
    migrations = load(folder)
    with closing(_connect(dsn)) as database, database.cursor() as cursor:
        _lock(cursor)
        cursor.execute(
            "create table if not exists migrations ("
            " number integer primary key,"
            " name text not null,"
            " checksum text not null,"
            " applied_at timestamptz not null default now())"
        )
        for migration in pending(migrations, database):
            _apply(cursor, migration)
            yield migration.name


def _connect(dsn: str) -> connection:
    name = "config-service migrations"
    try:
        database = psycopg2.connect(dsn, connect_timeout=5, fallback_application_name=name)
    except UnicodeDecodeError as error:  # a refusal in the server's language and encoding
        raise psycopg2.OperationalError(error.object.decode(errors="replace")) from None
    database.autocommit = True
    return database


def _lock(cursor: cursor) -> None:
    """Takes the advisory lock that the session then holds to its end.

    It polls: a runner blocked inside pg_advisory_lock would deadlock with CREATE INDEX
    CONCURRENTLY, which waits for every older snapshot.
    """
    give_up = time.monotonic() + LOCK_WAIT_SECONDS
    while time.monotonic() <= give_up:
        cursor.execute("select pg_try_advisory_lock(%s)", (LOCK,))
        if cursor.fetchone() == (True,):
            return
        time.sleep(0.1)
    raise MigrationError("another runner has held the lock for too long")


def _apply(cursor: cursor, migration: Migration) -> None:
    """Runs one migration; where a lock it needs is taken, it steps back and tries again, because
    whoever waits for a table lock blocks every reader behind it."""
    for attempt in range(ATTEMPTS):
        time.sleep(min(attempt, 5))
        try:
            if migration.in_transaction:
                cursor.execute("begin; set local lock_timeout = '2s'; savepoint of_the_runner")
            _run(cursor, migration)
            cursor.execute(
                "insert into migrations (number, name, checksum) values (%s, %s, %s)",
                (migration.number, migration.name, migration.checksum),
            )
            if migration.in_transaction:
                cursor.execute("commit")
        except psycopg2.errors.LockNotAvailable:
            cursor.execute("rollback")
        except psycopg2.Error as error:
            said = error.diag.message_primary or "the connection was lost"
            raise MigrationError(f"{migration.name}: {said} ({error.pgcode})") from None
        else:
            return
    raise MigrationError(f"{migration.name}: a lock it needs stays taken")


def _run(cursor: cursor, migration: Migration) -> None:
    """Runs the file. Raises MigrationError where that ended the runner's transaction, with which
    the savepoint has gone."""
    failure = None
    try:
        cursor.execute(migration.sql)
    except psycopg2.Error as error:
        failure = error
    if migration.in_transaction and not cursor.connection.closed:
        try:
            cursor.execute(f"{'rollback to' if failure else 'release'} savepoint of_the_runner")
        except psycopg2.Error:
            raise MigrationError(
                f"{migration.name}: it ended the runner's transaction. It is not recorded as "
                "applied, but what it committed stays: undo that by hand, and take the commit or "
                "rollback out of it"
            ) from None
    if failure:
        raise failure


def status(dsn: str, folder: Path = FOLDER) -> Iterator[str]:
    """A line for each migration: its name, and when it was applied (UTC) or `pending`."""
    migrations = load(folder)
    with closing(_connect(dsn)) as database:
        still, done = pending(migrations, database), applied(database)
    for migration in migrations:
        if migration in still:
            yield f"{migration.name}  pending"
        else:
            at = done[migration.number][2].astimezone(UTC)
            yield f"{migration.name}  applied {at:%Y-%m-%dT%H:%M:%SZ}"


@cache
def _names() -> list[str]:
    return [migration.name for migration in load()]


def missing(applied: Iterable[str]) -> list[str]:
    """The names of this code's migrations that are not among those `applied`.

    Where there are none, the service is ready. A database that has more is newer than the code:
    while an upgrade goes through the instances, the older ones serve on.
    """
    done = set(applied)
    return [name for name in _names() if name not in done]


def obstacle(dsn: str) -> str | None:
    """Why the service is not ready, in a line; None where it is."""
    try:
        with closing(_connect(dsn)) as database:
            names = [name for name, _, _ in applied(database).values()]
    except psycopg2.Error as error:
        return _first_line(error)
    return "a migration is pending: run `python -m migrations`" if missing(names) else None


def _first_line(error: MigrationError | psycopg2.Error) -> str:
    """What PostgreSQL or libpq said, which may name host, port and user, never the password."""
    return (str(error).strip().splitlines() or ["the connection was lost"])[0]


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status: 0, 1 for a failure, 2 for wrong usage."""
    if arguments not in ([], ["status"]):
        print("usage: python -m migrations [status]", file=sys.stderr)
        return 2
    dsn, line = settings().direct_url, ""
    applying = (f"migrations: {name} applied" for name in migrate(dsn))
    try:
        for line in status(dsn) if arguments else applying:
            print(line)
    except (MigrationError, psycopg2.Error) as error:
        print(f"migrations: {_first_line(error)}", file=sys.stderr)
        return 1
    if not line:
        print("migrations: nothing to apply")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
