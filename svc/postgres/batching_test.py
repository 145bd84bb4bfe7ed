import asyncio
import random
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import LockNotAvailable, UniqueViolation
from psycopg2.extensions import (
    POLL_OK,
    POLL_READ,
    POLL_WRITE,
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INERROR,
)

from edge import metrics
from postgres import batching
from postgres.batching import LARGE, MOST, Gathering, NotAsked, Request, Row, Unanswered, Values

type Answer = Callable[["Connection"], int]

SQL = "find %(n)s of %(id)s in %(confined_to)s"


def at_once(_: "Connection") -> int:
    return POLL_OK


def held(connection: "Connection") -> int:
    """Comes when the test releases it."""
    try:
        connection.ours.recv(1)
    except BlockingIOError:
        return POLL_READ
    return connection.released(connection)


def sent_late(connection: "Connection") -> int:
    """Comes when the socket takes the statement."""
    try:
        connection.ours.send(b"!")
    except BlockingIOError:
        return POLL_WRITE
    return POLL_OK


def refused(connection: "Connection") -> int:
    connection.info.transaction_status = TRANSACTION_STATUS_IDLE
    raise psycopg2.DataError("text of the server")


def violated(connection: "Connection") -> int:
    connection.info.transaction_status = TRANSACTION_STATUS_IDLE
    raise UniqueViolation


def too_slow(connection: "Connection") -> int:
    connection.info.transaction_status = TRANSACTION_STATUS_IDLE
    raise LockNotAvailable


def lost(connection: "Connection") -> int:
    """The connection breaks, and has no transaction any more."""
    connection.closed = 2
    return refused(connection)


def aborted(connection: "Connection") -> int:
    """The connection stays, within a transaction."""
    connection.info.transaction_status = TRANSACTION_STATUS_INERROR
    raise psycopg2.DataError("text of the server")


class Connection:
    """An asynchronous connection of psycopg2's kind: `ours` is its socket, `theirs` the server's
    end of it, and `answer` what there is to wait for."""

    def __init__(self, server: "Server", answer: Answer) -> None:
        self._server, self.answer = server, answer
        self.ours, self.theirs = socket.socketpair()
        for end in (self.ours, self.theirs):
            end.setblocking(False)
        self.closed = self.polls = 0
        self.info = SimpleNamespace(transaction_status=TRANSACTION_STATUS_IDLE)
        self.released: Answer = at_once

    def fileno(self) -> int:
        return self.ours.fileno()

    def poll(self) -> int:
        self.polls += 1
        assert self.polls < 100, "it is polled while there is nothing to read"
        state = self.answer(self)
        if state == POLL_OK:
            self.info.transaction_status = TRANSACTION_STATUS_IDLE
        return state

    def cursor(self) -> "Cursor":
        return Cursor(self, self._server)

    def close(self) -> None:
        self.closed = 1
        self.ours.close()

    def release(self, answer: Answer = at_once) -> None:
        """Lets what is held end as `answer` does."""
        self.released = answer
        self.theirs.send(b"!")

    def fill(self) -> None:
        """Nothing more can be sent for now."""
        with suppress(BlockingIOError):
            while True:
                self.ours.send(bytes(4096))

    def drain(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self.theirs.recv(1 << 20)


class Cursor:
    """A cursor whose statements get the server's next answers: no row before it is settled."""

    def __init__(self, connection: Connection, server: "Server") -> None:
        self._connection, self._server = connection, server
        self._rows: list[tuple[str, int]] = []

    @property
    def _settled(self) -> bool:
        return bool(self._connection.info.transaction_status == TRANSACTION_STATUS_IDLE)

    def execute(self, sql: str, values: Values | None) -> None:
        assert self._settled, "execute cannot be used while an asynchronous query is underway"
        self._server.executed.append((sql, values))
        answers = self._server.answers if values else self._server.plans
        answer = answers.pop(0) if answers else at_once
        if isinstance(answer, Exception):
            raise answer
        self._connection.answer = answer
        self._connection.info.transaction_status = TRANSACTION_STATUS_ACTIVE
        if values:
            nth, absent = len(self._server.asked), self._server.absent
            self._rows = [(asked, nth) for asked in reversed(values["id"]) if asked not in absent]

    @property
    def description(self) -> list[SimpleNamespace] | None:
        names = (self._server.column, "nth")
        return [SimpleNamespace(name=name) for name in names] if self._settled else None

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._rows)


class Server:
    """In the place of PostgreSQL: each id that a statement asks for has a row, which says the how
    manieth statement that was, unless it is `absent`. Where no other answer is given for a
    connection, for what is prepared or for a statement, it comes at once."""

    def __init__(self) -> None:
        self.connecting: list[Callable[[], object]] = []
        self.accepting: list[Answer] = []
        self.plans: list[Answer | Exception] = []
        self.answers: list[Answer | Exception] = []
        self.absent = set[str]()
        self.executed: list[tuple[str, Values | None]] = []
        self.connections: list[Connection] = []
        self.drops = 3
        self.column = "id"

    def connect(self) -> Any:
        if self.connecting:
            self.connecting.pop(0)()
        answer = self.accepting.pop(0) if self.accepting else at_once
        self.connections.append(Connection(self, answer))
        return self.connections[-1]

    @property
    def statements(self) -> list[str]:
        return [sql for sql, _ in self.executed]

    @property
    def asked(self) -> list[Values]:
        """The values of each statement, without what was only prepared."""
        return [values for _, values in self.executed if values]

    @property
    def ids(self) -> list[list[str]]:
        return [values["id"] for values in self.asked]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    stand_in = Server()
    monkeypatch.setattr(random, "uniform", lambda *_: 0)
    yield stand_in
    for connection in stand_in.connections:
        connection.ours.close()
        connection.theirs.close()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what it waits for is not its own
        await asyncio.sleep(0.001)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Gathered:
    """A gathering that runs, on a clock that can be advanced."""

    def __init__(self, server: Server, seconds: float, *, once: bool) -> None:
        self._server, self._ahead = server, 0.0
        loop = asyncio.get_running_loop()
        time = loop.time
        loop.time = lambda: time() + self._ahead  # type: ignore[method-assign]
        self.gathering = Gathering(server.connect, seconds, lambda: server.drops, once=once)
        self.running = asyncio.create_task(self.gathering.run())

    def advance(self, seconds: float) -> None:
        self._ahead += seconds

    async def connected(self) -> Connection:
        await until(lambda: self.gathering._serving)
        return self._server.connections[-1]

    def ask(
        self,
        id: str,
        n: Any = 0,
        *,
        sql: str = SQL,
        confined_to: str | None = None,
        actor: str = "anonymous",
    ) -> asyncio.Task[Row | None]:
        request = Request(sql, confined_to, actor)
        return asyncio.create_task(self.gathering.ask(request, {"id": id, "n": n}))

    async def under_way(self, id: str) -> asyncio.Task[Row | None]:
        """Asks for it, and holds the answer back."""
        before = len(self._server.asked)
        self._server.answers = [held]
        asked = self.ask(id)
        await until(lambda: len(self._server.asked) > before)
        return asked


type Scenario = Callable[[Gathered], Awaitable[None]]


def from_the_start(
    server: Server, scenario: Scenario, *, seconds: float = 100, once: bool = False
) -> None:
    """Runs a scenario while a gathering runs, and cancels that at the end."""

    async def both() -> None:
        async with asyncio.timeout(20):
            gathered = Gathered(server, seconds, once=once)
            await scenario(gathered)
            gathered.running.cancel()
            with suppress(asyncio.CancelledError):
                await gathered.running

    asyncio.run(both())


def during(server: Server, scenario: Scenario, *, seconds: float = 100, once: bool = False) -> None:
    """The same once it is connected."""

    async def connected(gathered: Gathered) -> None:
        await gathered.connected()
        await scenario(gathered)

    from_the_start(server, connected, seconds=seconds, once=once)


def row(id: str, nth: int) -> Row:
    return {"id": id, "nth": nth}


async def outcomes(*asked: asyncio.Task[Row | None]) -> list[Row | type[BaseException] | None]:
    """For each the row that he got, or the kind of exception."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    return [type(one) if isinstance(one, BaseException) else one for one in found]


def test_those_who_ask_in_the_same_turn_share_a_statement_and_each_gets_his_row(
    server: Server,
) -> None:
    server.absent = {"B"}

    async def scenario(gathered: Gathered) -> None:
        asked = [gathered.ask(each) for each in "ABC"]
        assert await outcomes(*asked) == [row("A", 1), None, row("C", 1)]

    during(server, scenario)
    assert server.ids == [["A", "B", "C"]]


def test_a_statement_is_prepared_once_and_executed_by_its_name_with_lists(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        await outcomes(gathered.ask("A", 1), gathered.ask("B", 2))
        await gathered.ask("C", 3, confined_to="shop")

    during(server, scenario)
    execute = "execute gathered_0 (%(id)s, %(n)s, %(confined_to)s)"
    anonymous = {"actor": "anonymous"}
    assert server.executed == [
        ("prepare gathered_0 as find $2 of $1 in $3", None),
        (execute, {"id": ["A", "B"], "n": [1, 2], "confined_to": None, **anonymous}),
        (execute, {"id": ["C"], "n": [3], "confined_to": "shop", **anonymous}),
    ]


def test_two_statements_are_prepared_under_two_names(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        for sql in ("first %(id)s", "second %(id)s", "first %(id)s"):
            await gathered.ask("A", sql=sql)

    during(server, scenario)
    assert [statement.partition(" (")[0] for statement in server.statements] == [
        "prepare gathered_0 as first $1",
        "execute gathered_0",
        "prepare gathered_1 as second $1",
        "execute gathered_1",
        "execute gathered_0",
    ]


def test_what_is_asked_while_a_statement_is_under_way_gathers_for_the_next(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        first = await gathered.under_way("A")
        second = gathered.ask("B")
        await settle()
        third, same = gathered.ask("C"), gathered.ask("A")
        await settle()
        assert server.ids == [["A"]]
        server.connections[0].release()
        assert await outcomes(first, second, third, same) == [
            row("A", 1),
            row("B", 2),
            row("C", 2),
            row("A", 2),
        ]

    during(server, scenario)


def test_what_is_asked_a_few_turns_after_an_answer_goes_with_those_who_wait(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        first = await gathered.under_way("A")
        waits = gathered.ask("B")
        await settle()
        server.connections[0].release()
        await first
        assert await outcomes(waits, gathered.ask("C")) == [row("B", 2), row("C", 2)]

    during(server, scenario)


def test_those_who_ask_for_the_same_share_an_entry(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        asked = [gathered.ask("A", 1) for _ in range(3)]
        assert await outcomes(*asked) == [row("A", 1)] * 3

    during(server, scenario)
    assert server.ids == [["A"]]


def test_those_who_ask_for_an_id_with_other_values_get_a_statement_each(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        asked = [gathered.ask("A", 1), gathered.ask("A", 2), gathered.ask("B", 2)]
        again = gathered.ask("A", 2)
        assert await outcomes(*asked) == [row("A", 1), row("A", 2), row("B", 1)]
        assert await again == row("A", 2)

    during(server, scenario)
    assert [values["n"] for values in server.asked] == [[1, 2], [2]]


@pytest.mark.parametrize("n", [1, 2])
def test_with_once_no_id_is_twice_in_a_statement_even_with_the_same_values(
    server: Server, n: int
) -> None:
    async def scenario(gathered: Gathered) -> None:
        asked = [gathered.ask("A", 1), gathered.ask("A", n), gathered.ask("B", 1)]
        assert await outcomes(*asked) == [row("A", 1), row("A", 2), row("B", 1)]

    during(server, scenario, once=True)
    assert server.ids == [["A", "B"], ["A"]]


@pytest.mark.parametrize("other", [{"sql": "other"}, {"confined_to": "shop"}, {"actor": "bob"}])
def test_those_who_differ_in_more_than_values_are_never_mixed(
    server: Server, other: dict[str, str]
) -> None:
    async def scenario(gathered: Gathered) -> None:
        asked = [gathered.ask("A"), gathered.ask("B", **other), gathered.ask("C")]
        assert await outcomes(*asked) == [row("A", 1), row("B", 2), row("C", 1)]

    during(server, scenario)
    assert server.ids == [["A", "C"], ["B"]]


def test_an_actor_is_told_in_the_same_message(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        for actor in ("alice", "bob"):
            await gathered.ask("A", actor=actor)

    during(server, scenario)
    tells = "select set_config('config_service.actor', %(actor)s, true);execute gathered_0 "
    assert [statement.partition("(%(id)s")[0] for statement in server.statements[1:]] == [tells] * 2
    assert [values["actor"] for values in server.asked] == ["alice", "bob"]


def test_no_more_than_the_most_ids_are_in_a_statement(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        await outcomes(*(gathered.ask(str(n)) for n in range(MOST + 1)))

    during(server, scenario)
    assert server.ids == [[str(n) for n in range(MOST)], [str(MOST)]]


def test_where_too_many_wait_nobody_else_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MOST_BATCHES", 3)

    async def scenario(gathered: Gathered) -> None:
        first = await gathered.under_way("A")
        queued = [gathered.ask("A", n) for n in range(3)]
        await settle()
        assert await outcomes(gathered.ask("A", 3)) == [NotAsked]
        server.connections[0].release()
        assert await outcomes(first, *queued) == [row("A", n) for n in (1, 2, 3, 4)]

    during(server, scenario)


def test_who_asks_with_much_text_is_not_asked_together_with_others(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        asked = [gathered.ask("A", "x" * LARGE), gathered.ask("B", "x" * (LARGE - 1))]
        assert await outcomes(*asked) == [NotAsked, row("B", 1)]

    during(server, scenario)
    assert server.ids == [["B"]]


def test_nobody_is_asked_before_there_is_a_connection(server: Server) -> None:
    server.accepting = [held]

    async def scenario(gathered: Gathered) -> None:
        assert await outcomes(gathered.ask("A")) == [NotAsked]
        await until(lambda: server.connections)
        await settle()
        assert await outcomes(gathered.ask("B")) == [NotAsked]
        server.connections[0].release()
        await gathered.connected()
        assert await gathered.ask("C") == row("C", 1)

    from_the_start(server, scenario)
    assert server.ids == [["C"]]


def test_everything_else_goes_on_while_a_connect_looks_the_host_up(server: Server) -> None:
    found = threading.Event()

    def look_up() -> None:
        assert found.wait(5)

    server.connecting = [look_up]

    async def scenario(gathered: Gathered) -> None:
        await until(lambda: not server.connecting)
        assert await outcomes(gathered.ask("A")) == [NotAsked]
        found.set()
        await gathered.connected()

    from_the_start(server, scenario)
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    "refusal", [ValueError("A string literal cannot contain NUL"), refused, violated]
)
def test_what_was_refused_for_one_is_asked_in_halves_until_that_one_is_alone(
    server: Server, refusal: Answer | Exception
) -> None:
    # All four, the first two, the first of them.
    server.answers = [refusal, refusal, refusal]

    async def scenario(gathered: Gathered) -> None:
        asked = [gathered.ask(id) for id in ("A", "B", "C", "D")]  # noqa: A001
        expected = [NotAsked, row("B", 4), row("C", 5), row("D", 5)]
        assert await outcomes(*asked) == expected

    during(server, scenario)
    assert server.ids == [["A", "B", "C", "D"], ["A", "B"], ["A"], ["B"], ["C", "D"]]
    assert len(server.connections) == 1


def test_of_what_is_refused_for_no_one_in_particular_nobody_is_asked(server: Server) -> None:
    server.answers = [too_slow]

    async def scenario(gathered: Gathered) -> None:
        assert await outcomes(gathered.ask("A"), gathered.ask("B")) == [NotAsked] * 2
        assert await gathered.ask("C") == row("C", 2)

    during(server, scenario)
    assert len(server.connections) == 1
    assert [statement.split()[0] for statement in server.statements] == [
        "prepare",
        "execute",
        "execute",
    ]


def test_halves_wait_no_longer_than_what_they_are_of(server: Server) -> None:
    server.answers = [held, held]

    async def scenario(gathered: Gathered) -> None:
        asked = [gathered.ask("A"), gathered.ask("B")]
        await until(lambda: server.asked)
        server.connections[0].release(refused)
        await until(lambda: len(server.asked) == 2)
        gathered.advance(1)
        await settle()
        assert await outcomes(asked[1]) == [NotAsked]
        assert not asked[0].done()
        server.connections[0].release()
        assert await outcomes(asked[0]) == [row("A", 2)]

    during(server, scenario, seconds=4)


def test_a_statement_that_could_not_be_prepared_is_prepared_again(server: Server) -> None:
    server.plans = [refused]

    async def scenario(gathered: Gathered) -> None:
        assert await outcomes(gathered.ask("A")) == [NotAsked]
        assert await gathered.ask("A") == row("A", 1)

    during(server, scenario)
    assert [statement.split()[:2] for statement in server.statements] == [
        ["prepare", "gathered_0"],
        ["prepare", "gathered_0"],
        ["execute", "gathered_0"],
    ]


@pytest.mark.parametrize(("end", "errors"), [(refused, 0), (lost, 1)])
def test_an_error_that_nobody_meets_again_is_counted(
    server: Server, monkeypatch: pytest.MonkeyPatch, end: Answer, errors: int
) -> None:
    counted: list[tuple[str, object]] = []
    monkeypatch.setattr(metrics, "add", lambda name, labels: counted.append((name, labels)))
    server.answers = [end]

    async def scenario(gathered: Gathered) -> None:
        await outcomes(gathered.ask("A"))

    during(server, scenario)
    assert counted == [("database_errors_total", (("sqlstate", "none"),))] * errors


@pytest.mark.parametrize("loss", [lost, aborted])
def test_a_lost_connection_leaves_unanswered_what_was_sent_and_not_asked_what_was_queued(
    server: Server, loss: Answer
) -> None:
    async def scenario(gathered: Gathered) -> None:
        sent = await gathered.under_way("A")
        queued = [gathered.ask("B", n) for n in range(2)]
        await settle()
        server.accepting = [held]
        server.connections[0].release(loss)
        assert await outcomes(sent, *queued) == [Unanswered, NotAsked, NotAsked]
        assert server.connections[0].fileno() == -1
        assert await outcomes(gathered.ask("C")) == [NotAsked]
        await until(lambda: len(server.connections) == 2)
        server.connections[1].release()
        await gathered.connected()
        assert await gathered.ask("D") == row("D", 2)

    during(server, scenario)
    assert len(server.connections) == 2
    assert [statement.split()[0] for statement in server.statements] == ["prepare", "execute"] * 2


def test_what_is_lost_before_it_was_sent_is_not_asked(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        server.plans = [lost]
        assert await outcomes(gathered.ask("A")) == [NotAsked]
        await until(lambda: len(server.connections) == 2)

    during(server, scenario)


def test_what_was_done_and_cannot_be_read_is_unanswered_and_said_and_it_goes_on(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(gathered: Gathered) -> None:
        server.column = "other"
        assert await outcomes(gathered.ask("A")) == [Unanswered]
        server.column = "id"
        await until(lambda: len(server.connections) == 2)
        await gathered.connected()
        assert await outcomes(gathered.ask("A")) == [row("A", 2)]

    during(server, scenario)
    assert [record.message for record in caplog.records] == ["what was gathered failed"]


@pytest.mark.parametrize(("once", "seconds"), [(True, 4), (False, 8)])
def test_what_is_not_answered_until_its_deadline_is_unanswered_and_the_connection_is_closed(
    server: Server, once: bool, seconds: float
) -> None:
    async def scenario(gathered: Gathered) -> None:
        asked = await gathered.under_way("A")
        descriptor = server.connections[0].fileno()
        gathered.advance(3)
        await settle()
        assert not asked.done()
        gathered.advance(1)
        await settle()
        assert asked.done()
        assert await outcomes(asked) == [Unanswered]
        assert server.connections[0].fileno() == -1
        assert not asyncio.get_running_loop().remove_reader(descriptor)
        await gathered.connected()
        assert await gathered.ask("B") == row("B", 2)

    during(server, scenario, seconds=seconds, once=once)


def test_the_deadline_counts_from_when_it_was_asked_for(server: Server) -> None:
    server.answers = [held, held]

    async def scenario(gathered: Gathered) -> None:
        first = gathered.ask("A")
        await until(lambda: server.asked)
        second = gathered.ask("B")
        await settle()
        gathered.advance(1)
        server.connections[0].release()
        await first
        await until(lambda: len(server.asked) == 2)
        gathered.advance(7)
        await settle()
        assert second.done()
        assert await outcomes(second) == [Unanswered]

    during(server, scenario, seconds=8, once=True)


@pytest.mark.parametrize(
    ("waited", "outcome", "sent"), [(4, row("B", 2), ["A", "B", "C"]), (6, NotAsked, ["A", "C"])]
)
def test_what_has_waited_for_more_than_a_quarter_of_its_time_is_not_asked(
    server: Server, waited: float, outcome: Row | type[Exception], sent: list[str]
) -> None:
    async def scenario(gathered: Gathered) -> None:
        first = await gathered.under_way("A")
        waiting = gathered.ask("B")
        await settle()
        gathered.advance(waited)
        later = gathered.ask("C", sql="another")
        await settle()
        server.connections[0].release()
        last = row("C", len(sent))
        assert await outcomes(first, waiting, later) == [row("A", 1), outcome, last]

    during(server, scenario, seconds=20)
    assert server.ids == [[each] for each in sent]
    assert len(server.connections) == 1


@pytest.mark.parametrize("last_word", [b"", b"E terminating connection"])
def test_an_idle_connection_that_the_server_closed_is_replaced(
    server: Server, last_word: bytes
) -> None:
    async def scenario(gathered: Gathered) -> None:
        await gathered.ask("A")
        server.connections[0].theirs.send(last_word)
        server.connections[0].theirs.shutdown(socket.SHUT_WR)
        asked = [gathered.ask("B", n) for n in range(2)]
        assert await outcomes(*asked) == [NotAsked] * 2
        assert server.connections[0].fileno() == -1
        await gathered.connected()
        assert await gathered.ask("C") == row("C", 2)

    during(server, scenario)
    assert len(server.connections) == 2


def test_an_outdated_connection_is_replaced_once(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        await gathered.ask("A")
        server.drops += 1
        assert await outcomes(gathered.ask("B")) == [NotAsked]
        assert server.connections[0].fileno() == -1
        for nth in (2, 3):
            await gathered.connected()
            assert await gathered.ask("C") == row("C", nth)

    during(server, scenario)
    assert len(server.connections) == 2


def refuse() -> None:
    raise psycopg2.OperationalError("connection refused")


def test_a_connect_that_fails_is_tried_again_until_it_succeeds(server: Server) -> None:
    server.connecting = [refuse, refuse]
    server.accepting = [lost]

    async def scenario(gathered: Gathered) -> None:
        await gathered.connected()
        assert await gathered.ask("A") == row("A", 1)

    from_the_start(server, scenario)
    assert server.connecting == []
    assert len(server.connections) == 2


def test_a_connect_that_never_ends_is_tried_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "CONNECT_TIMEOUT_SECONDS", 2)
    over = threading.Event()
    polled: list[Connection] = []

    def silent(connection: Connection) -> int:
        polled.append(connection)
        return POLL_READ

    def look_up() -> None:
        assert over.wait(10)

    server.connecting = [look_up]
    server.accepting = [silent]

    async def scenario(gathered: Gathered) -> None:
        await until(lambda: not server.connecting)
        gathered.advance(2)
        await until(lambda: polled)
        await settle()
        gathered.advance(2)
        await gathered.connected()
        assert await gathered.ask("A") == row("A", 1)
        over.set()

    from_the_start(server, scenario)


def test_it_pauses_before_it_connects_anew(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[tuple[float, float]] = []

    def pause(low: float, high: float) -> float:
        pauses.append((low, high))
        return 5

    monkeypatch.setattr(random, "uniform", pause)
    server.connecting = [refuse]

    async def scenario(gathered: Gathered) -> None:
        await until(lambda: pauses)
        await settle()
        assert server.connections == []
        gathered.advance(5)
        await gathered.connected()

    from_the_start(server, scenario)
    assert pauses == [(0.2, 1)]


def test_what_cannot_be_sent_at_once_waits_until_the_socket_takes_it(server: Server) -> None:
    server.answers = [sent_late]

    async def scenario(gathered: Gathered) -> None:
        [connection] = server.connections
        connection.fill()
        asked = gathered.ask("A")
        await until(lambda: server.asked)
        await settle()
        assert not asked.done()
        connection.drain()
        assert await asked == row("A", 1)
        assert not asyncio.get_running_loop().remove_writer(connection.fileno())

    during(server, scenario)


def test_an_answer_is_not_polled_for_before_there_is_something_to_read(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        asked = await gathered.under_way("A")
        before = server.connections[0].polls
        await settle()
        server.connections[0].release()
        await asked
        assert server.connections[0].polls == before + 1

    during(server, scenario)


def test_a_connection_that_waits_for_nothing_is_not_watched(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        asked = await gathered.under_way("A")
        server.connections[0].release()
        await asked
        assert not asyncio.get_running_loop().remove_reader(server.connections[0].fileno())

    during(server, scenario)


@pytest.mark.parametrize(("answer", "outcome"), [(at_once, row("B", 1)), (too_slow, NotAsked)])
def test_whoever_gives_up_does_not_disturb_the_others(
    server: Server, answer: Answer, outcome: Row | type[Exception]
) -> None:
    server.answers = [held]

    async def scenario(gathered: Gathered) -> None:
        give_up = [gathered.ask("A"), gathered.ask("B")]
        others = [gathered.ask("B"), gathered.ask("B")]
        await until(lambda: server.asked)
        for asked in give_up:
            asked.cancel()
        await settle()
        server.connections[0].release(answer)
        assert await outcomes(*others) == [outcome] * 2
        assert await gathered.ask("C") == row("C", 2)

    during(server, scenario)
    assert server.ids == [["A", "B"], ["C"]]
    assert len(server.connections) == 1


def test_when_it_ends_the_connection_is_closed_and_nobody_waits_any_more(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        sent = await gathered.under_way("A")
        queued = [gathered.ask("B", n) for n in range(2)]
        await settle()
        gathered.running.cancel()
        assert await outcomes(sent, *queued) == [Unanswered, NotAsked, NotAsked]
        assert server.connections[0].fileno() == -1
        with pytest.raises(asyncio.CancelledError):
            await gathered.running
        assert await outcomes(gathered.ask("C")) == [NotAsked]

    during(server, scenario)


def test_when_it_ends_idle_the_connection_is_closed(server: Server) -> None:
    async def scenario(gathered: Gathered) -> None:
        gathered.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gathered.running
        assert server.connections[0].fileno() == -1

    during(server, scenario)
