import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, ClassVar

import psycopg2
import pytest
from psycopg2.errors import UniqueViolation
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INERROR
from psycopg2.extras import RealDictCursor

import database
from config import Settings
from database import Caller, Database, OutcomeUnknown, Overloaded, Row, Unavailable, Unstorable
from postgres.batching import NotAsked, Request, Unanswered

type Answer = list[Row] | Exception | Callable[["Connection"], list[Row]]


class Connection:
    """A connection of psycopg2's kind: `ours` is its socket, `theirs` the server's end of it."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self.ours, self.theirs = socket.socketpair()
        self.closed = 0
        self.autocommit = False
        self.info = SimpleNamespace(transaction_status=TRANSACTION_STATUS_IDLE)

    def fileno(self) -> int:
        return self.ours.fileno()

    def cursor(self, cursor_factory: type) -> "Cursor":
        assert cursor_factory is RealDictCursor
        return Cursor(self, self._server)

    def close(self) -> None:
        self.closed = 1
        self.ours.close()
        self.theirs.close()


class Cursor:
    """A cursor whose statements get the server's next answers."""

    def __init__(self, connection: Connection, server: "Server") -> None:
        self._connection, self._server = connection, server
        self.description: list[str] | None = None

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str, values: database.Values | None) -> None:
        self._server.executed.append((sql, values, self._connection))
        answer = self._server.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self._rows = answer if isinstance(answer, list) else answer(self._connection)
        self.description = ["some"] if self._rows else None

    def fetchall(self) -> list[Row]:
        if self.description is None:
            raise psycopg2.ProgrammingError("no results to fetch")
        return self._rows


class Server:
    """In the place of PostgreSQL: each statement gets the next of `answers`."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.executed: list[tuple[str, database.Values | None, Connection]] = []
        self.connections: list[Connection] = []
        self.options: dict[str, Any] = {}
        self.connecting: list[Callable[[], None]] = []

    def connect(self, dsn: str, **options: Any) -> Connection:
        self.options = {"dsn": dsn, **options}
        if self.connecting:
            self.connecting.pop(0)()
        self.connections.append(Connection(self))
        return self.connections[-1]

    @property
    def statements(self) -> list[str]:
        return [sql for sql, _, _ in self.executed]


class Deaf:
    """In the place of the listener, which has a connection of its own."""

    watchers = 0

    def __init__(self, *_: object) -> None:
        pass

    async def run(self) -> None:
        await asyncio.Event().wait()


class Alone:
    """In the place of a gathering: asks nobody, or what it is told."""

    made: ClassVar[list["Alone"]] = []
    outcome: ClassVar[type[Exception] | Row] = NotAsked

    def __init__(
        self,
        connect: Callable[[], Connection],
        seconds: float,
        outdated: Callable[[], int],
        *,
        once: bool,
    ) -> None:
        self.connect, self.seconds, self.outdated, self.once = connect, seconds, outdated, once
        self.asked: list[tuple[Request, database.Values]] = []
        self.made.append(self)

    async def ask(self, request: Request, values: database.Values) -> Row:
        self.asked.append((request, values))
        if isinstance(self.outcome, dict):
            return self.outcome
        raise self.outcome

    async def run(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    stand_in = Server()
    monkeypatch.setattr(database, "Listener", Deaf)
    monkeypatch.setattr(database, "Gathering", Alone)
    monkeypatch.setattr(Alone, "made", [])
    monkeypatch.setattr(psycopg2, "connect", stand_in.connect)
    return stand_in


def configured(**given: Any) -> Settings:
    return Settings(**{"_env_file": None, "database_pool_size": 1, **given})


def during(work: Callable[[], Coroutine[Any, Any, Any]], **given: Any) -> Any:
    """What `work` gives while the database is open."""

    async def run() -> Any:
        async with database.opened(configured(**given)):
            return await work()

    return asyncio.run(run())


def read(sql: str = "select 1", **given: Any) -> list[Row]:
    rows: list[Row] = during(lambda: database.read(sql), **given)
    return rows


def write(sql: str = "update 1", **given: Any) -> list[Row]:
    rows: list[Row] = during(lambda: database.write(sql), **given)
    return rows


both = pytest.mark.parametrize("ask", [read, write])
type Ask = Callable[..., list[Row]]

# Long enough for a busy machine to send a statement, short enough to wait for.
DEADLINE = 0.3


def failure(sqlstate: str | None, kind: type[psycopg2.Error] = psycopg2.DatabaseError) -> Exception:
    """psycopg2's error of this SQLSTATE."""
    error: Exception = type(kind.__name__, (kind,), {"pgcode": sqlstate})("text of the server")
    return error


def refuse() -> None:
    raise psycopg2.OperationalError("connection refused")


def lose(connection: Connection) -> list[Row]:
    """The connection breaks after the statement was sent."""
    connection.closed = 2
    raise failure(None, psycopg2.OperationalError)


def silence(connection: Connection) -> list[Row]:
    """The server never answers: only the end of the socket ends the wait."""
    assert connection.ours.recv(1) == b""
    return lose(connection)


@both
def test_a_statement_runs_under_autocommit_with_its_values(server: Server, ask: Ask) -> None:
    server.answers = [[{"id": 1}, {"id": 2}]]

    async def work() -> list[Row]:
        door = database.read if ask is read else database.write
        return await door("select %(a)s", {"a": 1})

    assert during(work) == [{"id": 1}, {"id": 2}]
    [(sql, values, connection)] = server.executed
    assert sql == "select %(a)s"
    assert values
    assert values["a"] == 1
    assert connection.autocommit


@both
def test_a_statement_without_rows_gives_none(server: Server, ask: Ask) -> None:
    server.answers = [[]]
    assert ask() == []


def test_a_connection_is_kept_for_the_next_statement(server: Server) -> None:
    server.answers = [[{"n": 1}], [{"n": 2}], [{"n": 3}]]

    async def work() -> list[list[Row]]:
        return [await database.read("select"), await database.write("u"), await database.read("s")]

    assert during(work, database_pool_size=4) == [[{"n": 1}], [{"n": 2}], [{"n": 3}]]
    assert len(server.connections) == 1


def test_every_connection_is_kept_however_many_were_needed_at_once(server: Server) -> None:
    together = threading.Barrier(3)

    def meet(_: Connection) -> list[Row]:
        together.wait(10)
        return []

    server.answers = [meet] * 6

    async def work() -> None:
        for _ in range(2):
            await asyncio.gather(*(database.read(f"select {n}") for n in range(3)))

    during(work, database_pool_size=3)
    assert len(server.connections) == 3


def test_connections_are_opened_with_their_limits_and_the_options_of_the_dsn(
    server: Server,
) -> None:
    server.answers = [[]]
    dsn = "host=h options='-c work_mem=8MB'"
    read(database_url=dsn, database_timeout_seconds=2, max_body_bytes=2048)
    assert server.options["dsn"] == dsn
    assert server.options["connect_timeout"] == 3
    assert server.options["tcp_user_timeout"] == 1800
    options = server.options["options"].split("-c ")
    assert options[1].strip() == "work_mem=8MB"
    assert {option.strip() for option in options} >= {
        "statement_timeout=1800",
        "lock_timeout=1800",
        "idle_in_transaction_session_timeout=1800",
        "config_service.max_document_bytes=2048",
    }


def test_the_database_may_be_down_when_the_service_starts_and_come_up_later(
    server: Server,
) -> None:
    server.connecting = [refuse, refuse]
    server.answers = [[{"n": 1}]]

    async def work() -> list[Row]:
        with pytest.raises(Unavailable):
            await database.read("select")
        return await database.read("select")

    assert during(work) == [{"n": 1}]


@pytest.mark.parametrize("last_word", [b"", b"E terminating connection"])
def test_an_idle_connection_that_the_server_closed_is_discarded(
    server: Server, last_word: bytes
) -> None:
    server.answers = [[{"n": 1}], [{"n": 2}]]

    async def work() -> list[Row]:
        await database.read("select")
        server.connections[0].theirs.sendall(last_word)
        server.connections[0].theirs.close()
        return await database.write("update")

    assert during(work) == [{"n": 2}]
    first, second = server.connections
    assert [connection for _, _, connection in server.executed] == [first, second]
    assert first.closed


@both
def test_a_connect_that_failed_is_tried_once_more(server: Server, ask: Ask) -> None:
    server.connecting = [refuse]
    server.answers = [[{"n": 1}]]
    assert ask() == [{"n": 1}]


@both
def test_a_database_that_cannot_be_connected_to_twice_is_unavailable(
    server: Server, ask: Ask
) -> None:
    server.connecting = [refuse] * 2
    with pytest.raises(Unavailable) as raised:
        ask()
    assert raised.type is Unavailable
    assert server.connecting == []
    assert server.executed == []


@both
@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "25006"])
def test_what_certainly_changed_nothing_is_tried_once_more(
    server: Server, ask: Ask, sqlstate: str
) -> None:
    server.answers = [failure(sqlstate), [{"n": 1}]]
    assert ask() == [{"n": 1}]


@both
@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "25006"])
def test_what_fails_twice_is_not_tried_a_third_time(
    server: Server, ask: Ask, sqlstate: str
) -> None:
    server.answers = [failure(sqlstate), failure(sqlstate), [{"n": 1}]]
    with pytest.raises(Unavailable) as raised:
        ask()
    assert raised.type is Unavailable
    assert len(server.executed) == 2


def test_a_primary_that_became_a_standby_loses_all_its_connections(server: Server) -> None:
    together = threading.Barrier(2)

    def meet(_: Connection) -> list[Row]:
        together.wait(10)
        return []

    server.answers = [meet, meet, failure("25006"), [{"n": 1}]]

    async def work() -> list[Row]:
        await asyncio.gather(database.read("select 1"), database.read("select 2"))
        return await database.write("update")

    assert during(work, database_pool_size=2) == [{"n": 1}]
    assert len(server.connections) == 3
    assert server.executed[-1][2] is server.connections[2]


LOST: list[Answer] = [lose, failure("57P01"), failure("57P03"), failure("08006")]


@pytest.mark.parametrize("lost", LOST)
def test_a_read_whose_connection_was_lost_is_tried_once_more(server: Server, lost: Answer) -> None:
    server.answers = [lost, [{"n": 1}]]
    assert read() == [{"n": 1}]


@pytest.mark.parametrize("lost", LOST)
def test_a_read_whose_connection_was_lost_twice_is_unavailable(
    server: Server, lost: Answer
) -> None:
    server.answers = [lost, lost, [{"n": 1}]]
    with pytest.raises(Unavailable) as raised:
        read()
    assert raised.type is Unavailable
    assert len(server.executed) == 2


@pytest.mark.parametrize("lost", LOST)
def test_a_write_whose_connection_was_lost_is_unknown_and_never_repeated(
    server: Server, lost: Answer
) -> None:
    server.answers = [lost, [{"n": 1}]]
    with pytest.raises(OutcomeUnknown):
        write()
    assert len(server.executed) == 1


def test_a_lost_connection_is_not_used_again(server: Server) -> None:
    server.answers = [lose, [{"n": 1}]]

    async def work() -> list[Row]:
        with pytest.raises(OutcomeUnknown):
            await database.write("update")
        return await database.write("update")

    assert during(work) == [{"n": 1}]
    assert [connection for _, _, connection in server.executed] == server.connections
    assert len(server.connections) == 2


def test_a_connection_that_is_left_within_a_transaction_is_closed(server: Server) -> None:
    def leave_open(connection: Connection) -> list[Row]:
        connection.info.transaction_status = TRANSACTION_STATUS_INERROR
        raise UniqueViolation

    server.answers = [leave_open, [{"n": 1}]]

    async def work() -> list[Row]:
        with pytest.raises(UniqueViolation):
            await database.write("update")
        assert server.connections[0].closed
        return await database.write("update")

    assert during(work) == [{"n": 1}]


@both
@pytest.mark.parametrize(
    ("sqlstate", "meaning"),
    [
        ("57014", Unavailable),
        ("55P03", Unavailable),
        ("53300", Unavailable),
        ("53100", Unavailable),
        ("22P02", Unstorable),
        ("22P05", Unstorable),
        ("22001", Unstorable),
        ("22003", Unstorable),
        ("22021", Unstorable),
        ("54000", Unstorable),
        ("54001", Unstorable),
    ],
)
def test_a_sqlstate_with_a_meaning_is_told_at_once_and_without_the_text_of_the_server(
    server: Server, ask: Ask, sqlstate: str, meaning: type[Exception]
) -> None:
    server.answers = [failure(sqlstate), [{"n": 1}]]
    with pytest.raises(meaning) as raised:
        ask()
    assert raised.type is meaning
    assert "text of the server" not in str(raised.value)
    assert len(server.executed) == 1


@both
@pytest.mark.parametrize(
    "error",
    [
        UniqueViolation("taken"),
        failure("23503"),
        failure("42P01"),
        failure("XX000"),
        failure(None),
        ValueError("A string literal cannot contain NUL (0x00) characters."),
    ],
)
def test_any_other_error_passes_untouched_and_the_connection_stays(
    server: Server, ask: Ask, error: Exception
) -> None:
    server.answers = [error, [{"n": 1}]]

    async def work() -> list[Row]:
        door = database.read if ask is read else database.write
        with pytest.raises(type(error)) as raised:
            await door("statement")
        assert raised.value is error
        return await door("statement")

    assert during(work) == [{"n": 1}]
    assert len(server.connections) == 1


class Gate:
    """An answer that is held back until `open` is set."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, _: Connection) -> list[Row]:
        self.reached.set()
        assert self.open.wait(10)
        return [{"late": True}]

    async def wait(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, 10)


def test_more_than_the_queue_holds_is_refused_at_once_and_room_comes_back(server: Server) -> None:
    gate = Gate()
    server.answers = [gate, [{"n": 2}], [{"n": 3}]]

    async def work() -> None:
        running = asyncio.create_task(database.read("running"))
        await gate.wait()
        queued = asyncio.create_task(database.read("queued"))
        await asyncio.sleep(0)
        for _ in range(3):
            with pytest.raises(Overloaded):
                await database.write("refused")
        gate.open.set()
        assert [await running, await queued] == [[{"late": True}], [{"n": 2}]]
        assert await database.read("later") == [{"n": 3}]

    during(work, database_queue_size=1)
    assert server.statements == ["running", "queued", "later"]


def test_a_statement_that_had_to_wait_has_less_time_at_the_server(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, ahead = Gate(), [0.0]
    server.answers = [gate, []]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0])
    monkeypatch.setattr(database, "time", clock)

    async def work() -> None:
        running = asyncio.create_task(database.read("running"))
        await gate.wait()
        queued = asyncio.create_task(database.write("queued"))
        await asyncio.sleep(0)
        ahead[0] = 200
        gate.open.set()
        await asyncio.gather(running, queued)

    during(work, database_timeout_seconds=400)
    limit = re.fullmatch(
        r"select set_config\('statement_timeout', '(\d+)', true\),"
        r" set_config\('lock_timeout', '\1', true\);queued",
        server.statements[1],
    )
    assert server.statements[0] == "running"
    assert limit
    assert 150_000 < int(limit[1]) <= 160_000


def test_a_read_that_is_not_answered_in_time_is_unavailable(server: Server) -> None:
    server.answers = [silence]
    with pytest.raises(Unavailable) as raised:
        read(database_timeout_seconds=DEADLINE)
    assert raised.type is Unavailable


def test_a_write_that_is_not_answered_in_time_is_unknown(server: Server) -> None:
    server.answers = [silence]
    with pytest.raises(OutcomeUnknown):
        write(database_timeout_seconds=DEADLINE)
    assert len(server.executed) == 1


@both
def test_a_server_that_never_answers_holds_no_thread_and_no_room(server: Server, ask: Ask) -> None:
    server.answers = [silence, silence, [{"n": 1}]]

    async def work() -> list[Row]:
        door = database.read if ask is read else database.write
        for _ in range(2):
            with pytest.raises(Unavailable):
                await door("statement")
            # The thread is free when it has taken the next piece of work.
            await asyncio.wrap_future(database._current()._workers.submit(lambda: None))
        return await door("statement")

    given = {"database_queue_size": 0, "database_timeout_seconds": DEADLINE}
    assert during(work, **given) == [{"n": 1}]
    assert len(server.executed) == 3
    assert all(connection.closed for connection in server.connections)


def test_a_write_whose_time_is_over_before_it_was_sent_is_never_sent(server: Server) -> None:
    connecting = threading.Event()

    def connect_late() -> None:
        assert connecting.wait(10)

    server.connecting = [connect_late]

    async def work() -> None:
        running = asyncio.create_task(database.write("while it connects"))
        queued = asyncio.create_task(database.write("while it is queued"))
        for task in (running, queued):
            with pytest.raises(Unavailable) as raised:
                await task
            assert raised.type is Unavailable
        connecting.set()

    during(work, database_timeout_seconds=0.05)
    assert len(server.connections) == 1
    assert server.executed == []


def test_what_is_given_up_does_not_connect_any_more(server: Server) -> None:
    given_up = threading.Event()

    def refuse_late() -> None:
        assert given_up.wait(10)
        refuse()

    server.connecting = [refuse_late, refuse, refuse, refuse]

    async def work() -> None:
        asked = [asyncio.create_task(database.write(f"update {n}")) for n in range(2)]
        for task in asked:
            with pytest.raises(Unavailable):
                await task
        given_up.set()
        await asyncio.wrap_future(database._current()._workers.submit(lambda: None))

    during(work, database_timeout_seconds=0.05)
    assert len(server.connecting) == 3


def test_a_read_that_waits_in_the_queue_answers_everyone_who_asks_the_same(
    server: Server,
) -> None:
    gate = Gate()
    server.answers = [gate, [{"n": 1}], [{"n": 2}], [{"n": 3}]]

    async def work() -> list[list[Row]]:
        running = asyncio.create_task(database.read("select"))
        await gate.wait()
        same = [asyncio.create_task(database.read("select", {"a": 1})) for _ in range(3)]
        other = asyncio.create_task(database.read("select", {"a": 2}))
        await asyncio.sleep(0)
        late = asyncio.create_task(database.read("select"))
        await asyncio.sleep(0)
        gate.open.set()
        await running
        return [await task for task in (*same, other, late)]

    assert during(work) == [[{"n": 1}]] * 3 + [[{"n": 2}], [{"n": 3}]]
    assert [(values or {}).get("a") for _, values, _ in server.executed] == [None, 1, 2, None]


def test_each_write_is_a_statement_of_its_own(server: Server) -> None:
    gate = Gate()
    server.answers = [gate, [{"n": 1}], [{"n": 2}]]

    async def work() -> list[list[Row]]:
        running = asyncio.create_task(database.write("update"))
        await gate.wait()
        same = [asyncio.create_task(database.write("update")) for _ in range(2)]
        await asyncio.sleep(0)
        gate.open.set()
        await running
        return [await task for task in same]

    assert during(work) == [[{"n": 1}], [{"n": 2}]]


def test_a_write_goes_on_when_the_request_that_asked_for_it_is_gone(server: Server) -> None:
    gate = Gate()
    server.answers = [gate, [{"n": 2}]]

    async def work() -> list[Row]:
        asked = asyncio.create_task(database.write("update"))
        await gate.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        with pytest.raises(Overloaded):  # it still takes its place
            await database.read("select")
        gate.open.set()
        await asyncio.wrap_future(database._current()._workers.submit(lambda: None))
        return await database.read("select")

    assert during(work, database_queue_size=0) == [{"n": 2}]
    assert server.statements == ["update", "select"]


def test_a_server_that_never_answers_a_request_that_is_gone_holds_no_thread(
    server: Server,
) -> None:
    waiting = threading.Event()

    def reached(connection: Connection) -> list[Row]:
        waiting.set()
        return silence(connection)

    server.answers = [reached, [{"n": 1}]]

    async def work() -> list[Row]:
        asked = asyncio.create_task(database.read("gone"))
        assert await asyncio.to_thread(waiting.wait, 10)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        try:
            for _ in range(20):  # deadlines
                try:
                    return await database.read("select")
                except Unavailable:
                    pass
            raise AssertionError("the thread is stuck")
        finally:
            # close() would otherwise wait for it for ever
            if not server.connections[0].closed:
                server.connections[0].ours.shutdown(socket.SHUT_RDWR)

    assert during(work, database_timeout_seconds=0.05) == [{"n": 1}]


def test_closing_waits_for_what_runs_drops_what_is_queued_and_then_closes_connections(
    server: Server,
) -> None:
    gate = Gate()
    server.answers = [gate, [{"n": 2}]]

    async def work() -> list[Row]:
        opened = Database(configured())
        running = asyncio.create_task(opened.write("running", {}, "anonymous"))
        await gate.wait()
        queued = asyncio.create_task(opened.write("queued", {}, "anonymous"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(opened.close())
        with pytest.raises(Unavailable):
            await queued
        assert not server.connections[0].closed
        gate.open.set()
        rows = await running
        await closing
        return rows

    assert asyncio.run(work()) == [{"late": True}]
    assert server.statements == ["running"]
    assert server.connections[0].closed


together = pytest.mark.parametrize("door", [database.read_batched, database.write_batched])
type Door = Callable[[str, database.Values], Coroutine[Any, Any, Row | None]]


def with_a_token(door: Door) -> Row | None:
    """What the door says of one id to somebody with a token that is confined."""

    async def work() -> Row | None:
        database._caller = lambda: Caller("somebody", "billing")
        return await door("ask %(id)s of %(confined_to)s", {"id": "A", "n": 1})

    row: Row | None = during(work)
    return row


@together
def test_what_is_found_or_changed_is_asked_together_with_others(
    server: Server, monkeypatch: pytest.MonkeyPatch, door: Door
) -> None:
    monkeypatch.setattr(Alone, "outcome", {"id": "A"})
    assert with_a_token(door) == {"id": "A"}
    finds, changes = Alone.made
    asked, actor = (finds, "anonymous") if door is database.read_batched else (changes, "somebody")
    request = Request("ask %(id)s of %(confined_to)s", "billing", actor)
    assert asked.asked == [(request, {"id": "A", "n": 1})]
    assert len(finds.asked + changes.asked) == 1
    assert (finds.once, changes.once) == (False, True)
    assert server.executed == []


@together
@pytest.mark.parametrize(("rows", "row"), [([{"id": "A"}], {"id": "A"}), ([], None)])
def test_what_is_not_asked_together_is_asked_alone_in_lists(
    server: Server, door: Door, rows: list[Row], row: Row | None
) -> None:
    server.answers = [rows]
    assert with_a_token(door) == row
    [(sql, values, _)] = server.executed
    actor = "select set_config('config_service.actor', %(actor)s, true);"
    assert (
        sql == (actor if door is database.write_batched else "") + "ask %(id)s of %(confined_to)s"
    )
    lists = {"id": ["A"], "n": [1], "confined_to": "billing"}
    assert values == lists | ({"actor": "somebody"} if door is database.write_batched else {})


def test_a_find_that_is_not_answered_is_asked_again_alone(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alone, "outcome", Unanswered)
    server.answers = [[{"id": "A"}]]
    assert with_a_token(database.read_batched) == {"id": "A"}


def test_a_change_that_is_not_answered_is_unknown_and_never_repeated(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alone, "outcome", Unanswered)
    with pytest.raises(OutcomeUnknown):
        with_a_token(database.write_batched)
    assert server.executed == []


@together
def test_the_time_that_was_spent_together_with_others_counts(
    server: Server, monkeypatch: pytest.MonkeyPatch, door: Door
) -> None:
    gate = Gate()
    server.answers = [gate]

    async def late(alone: Alone, *_: object) -> Row:
        loop = asyncio.get_running_loop()
        time = loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + 2 * alone.seconds)
        raise NotAsked

    monkeypatch.setattr(Alone, "ask", late)

    async def work() -> None:
        with pytest.raises(Unavailable):
            await door("ask %(id)s", {"id": "A"})
        gate.open.set()

    during(work, database_timeout_seconds=3600)


def test_where_nobody_watches_nothing_is_read(server: Server) -> None:
    async def work() -> object:
        return await database._current()._versions([])

    assert during(work) == {}
    assert server.executed == []


def test_connections_for_many_give_up_early_and_plan_once_for_finding_by_id(server: Server) -> None:
    server.answers = [[]]
    read(database_timeout_seconds=2, database_direct_url="host=direct")
    for one in Alone.made:
        one.connect().close()
        assert one.seconds == 2
        assert server.options["dsn"] == "host=direct"
        assert server.options["async_"]
        assert server.options["tcp_user_timeout"] == 1800
        assert server.options["fallback_application_name"] == "config-service gathering"
        assert {option.strip() for option in server.options["options"].split("-c ")} >= {
            "statement_timeout=400",
            "lock_timeout=100",
            "plan_cache_mode=force_generic_plan",
            "enable_seqscan=off",
        }


def test_connections_for_many_are_outdated_once_the_others_were_dropped(server: Server) -> None:
    server.answers = [failure("25006"), [{"n": 1}]]

    async def work() -> None:
        before = [one.outdated() for one in Alone.made]
        await database.write("update")
        assert [one.outdated() for one in Alone.made] == [number + 1 for number in before]

    during(work)


@pytest.mark.parametrize("door", [database.read, database.write])
def test_before_and_after_its_time_the_database_is_unavailable(
    server: Server, door: Callable[[str], Coroutine[Any, Any, list[Row]]]
) -> None:
    server.answers = [[{"n": 1}]]

    async def work() -> None:
        with pytest.raises(Unavailable):
            await door("early")
        async with database.opened(configured()):
            await door("in time")
        with pytest.raises(Unavailable):
            await door("late")

    asyncio.run(work())
    assert server.statements == ["in time"]


def test_the_database_is_closed_when_its_time_ends_with_an_error(server: Server) -> None:
    server.answers = [[{"n": 1}]]

    async def work() -> None:
        await database.read("select")
        raise LookupError

    with pytest.raises(LookupError):
        during(work)
    assert server.connections[0].closed
