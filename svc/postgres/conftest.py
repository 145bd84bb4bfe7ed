"""What the tests of this room share: a PostgreSQL that fails on demand, and a proxy before it."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection, make_dsn, parse_dsn

FUNCTIONS = """
    drop schema if exists testing cascade;
    create schema testing;
    create table testing.notes (note text unique);
    create sequence testing.attempts;
    -- How many attempts were made: the first so many `times` fail.
    create function testing.fails(code text, times int) returns bigint language plpgsql as $$
    declare
        attempt bigint := nextval('testing.attempts');
    begin
        if attempt <= times then
            raise exception 'text of the server' using errcode = code;
        end if;
        return attempt;
    end $$;
    create function testing.dies(times int) returns bigint language plpgsql as $$
    declare
        attempt bigint := nextval('testing.attempts');
    begin
        if attempt <= times then
            perform pg_terminate_backend(pg_backend_pid());
            perform pg_sleep(10);
        end if;
        return attempt;
    end $$;
    -- What an id of the tests' batches stands for.
    create function testing.ask(id text) returns void language plpgsql as $$
    declare
        kind text := split_part(id, ' ', 1);
        given text := split_part(id, ' ', 2);
    begin
        if kind = 'fails' then
            perform testing.fails(given, 1000000);
        elsif kind = 'dies' then
            perform testing.dies(1000000);
        elsif kind = 'held' or kind = 'later' and nextval('testing.attempts') > 1 then
            perform pg_advisory_xact_lock(given::int);
        end if;
    end $$
"""


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of tests that are coroutines."""
    return "asyncio"


async def until(met: Callable[[], object]) -> None:
    """Returns once `met`; the time-out only ends a hang."""
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - what it waits for is not of the event loop
            await asyncio.sleep(0.002)


async def settle() -> None:
    """Lets the event loop do what it can do at once."""
    for _ in range(10):
        await asyncio.sleep(0)


class Counts:
    """In the place of the metrics: what was added to each series, and what was observed."""

    def __init__(self) -> None:
        self.added = Counter[tuple[str, ...]]()
        self.observed = list[tuple[str, float]]()

    def add(self, name: str, labels: tuple[tuple[str, str], ...] = (), amount: float = 1) -> None:
        self.added[name, *(value for _, value in labels)] += int(amount)

    def observe(self, name: str, value: float) -> None:
        self.observed.append((name, value))


@pytest.fixture
def counts() -> Counts:
    return Counts()


class Backend:
    """The tests' own database, seen from beside, with locks to hold statements up."""

    def __init__(self, dsn: str, db: connection) -> None:
        self.dsn, self._db = dsn, db

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        with self._db.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    @property
    def attempts(self) -> int:
        """How often `fails` and `dies` were called."""
        [(number, called)] = self.query("select last_value, is_called from testing.attempts")
        return number if called else 0

    def hold(self, key: int) -> None:
        """Lets `pg_advisory_xact_lock(key)` wait for `release`."""
        self.query("select pg_advisory_lock(%s)", key)

    def release(self, key: int) -> None:
        self.query("select pg_advisory_unlock(%s)", key)

    def waiting(self) -> int:
        """How many statements are held."""
        [(number,)] = self.query(
            "select count(*) from pg_locks join pg_database on pg_database.oid = database"
            " where datname = current_database() and locktype = 'advisory' and not granted"
        )
        return int(number)

    def end(self, pid: int) -> None:
        """Ends the connection of this process of the server, and waits for that."""
        assert self.query("select pg_terminate_backend(%s, 20000)", pid) == [(True,)]


@pytest.fixture(scope="module")
def functions(dsn: str) -> Iterator[str]:
    """The tests' own database, with the functions that fail."""
    with closing(psycopg2.connect(dsn)) as db, db.cursor() as cursor:
        cursor.execute(FUNCTIONS)
        db.commit()
        yield dsn
        cursor.execute("drop schema testing cascade")
        db.commit()


@pytest.fixture
def backend(functions: str) -> Iterator[Backend]:
    """It has seen no attempt yet, and holds nothing up."""
    with closing(psycopg2.connect(functions)) as db:
        db.autocommit = True
        backend = Backend(functions, db)
        backend.query("alter sequence testing.attempts restart; truncate testing.notes")
        yield backend


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What the next connects do first, one each; what it raises is what they raise."""
    first, connect = list[Callable[[], object]](), psycopg2.connect

    def opening(*arguments: Any, **options: Any) -> connection:
        if first:
            first.pop(0)()
        opened: connection = connect(*arguments, **options)
        return opened

    monkeypatch.setattr(psycopg2, "connect", opening)
    return first


def refuse() -> None:
    """What a connect does where nobody listens."""
    raise psycopg2.OperationalError("connection refused")


def refuse_in_latin_1() -> None:
    """What psycopg2 makes of a refusal in another encoding than it expects."""
    b"le mot de passe a \xe9chou\xe9".decode()


class Proxy:
    """A TCP proxy before PostgreSQL, whose host can vanish: it takes all and passes on nothing.

    `statements` are those that have passed (psycopg2 sends each as one message).
    """

    def __init__(self, dsn: str) -> None:
        parts = parse_dsn(dsn)
        self._target = parts["host"], int(parts["port"])
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        # In the clear, so that what passes can be read.
        clear = {"sslmode": "disable", "gssencmode": "disable"}
        self.dsn = make_dsn(dsn, host="127.0.0.1", port=self.port, **clear)
        self.statements = list[str]()
        self.accepted = 0
        self._sockets = list[socket.socket]()
        self._passes_on = threading.Event()
        self._passes_on.set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def vanish(self) -> None:
        self._passes_on.clear()

    def come_back(self) -> None:
        self._passes_on.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                server = socket.create_connection(self._target)
                self.accepted += 1
                self._sockets += [client, server]
                for ends in ((client, server, self._note()), (server, client, None)):
                    self._threads.append(threading.Thread(target=self._pump, args=ends))
                    self._threads[-1].start()

    def _pump(
        self, source: socket.socket, target: socket.socket, note: "Note | None" = None
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._passes_on.wait()
                if note:
                    note(data)
                target.sendall(data)
        self._passes_on.wait()
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _note(self) -> "Note":
        unread, kind = bytearray(), 0

        def note(data: bytes) -> None:
            nonlocal kind
            unread.extend(data)
            # A message is its kind (one byte, which the very first has not), its length, its text.
            while len(unread) >= kind + 4:
                end = kind + int.from_bytes(unread[kind : kind + 4])
                if len(unread) < end:
                    return
                if kind and unread[:1] == b"Q":
                    self.statements.append(unread[5 : end - 1].decode())
                del unread[:end]
                kind = 1

        return note

    def close(self) -> None:
        self.come_back()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._sockets:
            end.close()


type Note = Callable[[bytes], None]


@pytest.fixture
def proxy(backend: Backend) -> Iterator[Proxy]:
    with closing(Proxy(backend.dsn)) as proxy:
        yield proxy
