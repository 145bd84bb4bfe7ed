import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import UndefinedTable, UniqueViolation

from config import Settings
from postgres import connections
from postgres.conftest import (
    Backend,
    Counts,
    Proxy,
    refuse,
    refuse_in_latin_1,
    settle,
    until,
)
from postgres.connections import Row, open_async
from postgres.errors import OutcomeUnknown, Overloaded, Unavailable, ValueRefused
from postgres.pool import Pool, patient

pytestmark = pytest.mark.anyio
both = pytest.mark.parametrize("kind", ["read", "write"])
each_kind = pytest.mark.parametrize("kind", ["read", "write", "undone"])

PID = "select pg_backend_pid() as pid"
HELD = "select 'held' as was from pg_advisory_xact_lock(%(key)s)"


class Opened:
    """A pool under test, and what it counted."""

    def __init__(self, pool: Pool, counts: Counts) -> None:
        self.pool, self.counts = pool, counts

    async def ask(self, kind: str, sql: str, **values: Any) -> list[Row]:
        """A `read`, a `write`, or a write that is `undone`."""
        if kind == "read":
            return await self.pool.read(sql, values)
        return await self.pool.write(sql, values, undone=kind == "undone")

    async def pid(self, kind: str = "read") -> int:
        """The process of the server that serves next."""
        return int((await self.ask(kind, PID))[0]["pid"])

    def held(self, key: int, kind: str = "read") -> asyncio.Task[list[Row]]:
        """Begins what waits for the lock of this key."""
        return asyncio.create_task(self.ask(kind, HELD, key=key))


def configured(size: int = 1, queue: int = 10, seconds: float = 30) -> Settings:
    given: dict[str, Any] = {
        "_env_file": None,
        "database_pool_size": size,
        "database_queue_size": queue,
        "database_timeout_seconds": seconds,
    }
    return Settings(**given)


type Open = Callable[..., Any]


@pytest.fixture
def opened(backend: Backend, counts: Counts) -> Open:
    """Opens a pool for the time of a block: on the tests' own database, unless it is another."""

    @asynccontextmanager
    async def opening(
        dsn: str = "", *, size: int = 1, queue: int = 10, seconds: float = 30, migrated: bool = True
    ) -> AsyncIterator[Opened]:
        settings = configured(size, queue, seconds)
        obstacle = None if migrated else "a migration is pending"
        connect = partial(open_async, dsn or backend.dsn)
        pool = Pool(connect, settings, lambda: obstacle, counts)
        try:
            yield Opened(pool, counts)
        finally:
            await pool.close()

    return opening


@both
async def test_a_statement_gives_its_rows(opened: Open, kind: str) -> None:
    async with opened() as one:
        rows = await one.ask(kind, "select %(a)s + n as sum from generate_series(1, 2) as n", a=1)
        assert rows == [{"sum": 2}, {"sum": 3}]
        assert await one.ask(kind, "select where false") == []
        assert await one.ask(kind, "set application_name to 'other'") == []


async def test_a_write_is_committed_once_it_returns(opened: Open, backend: Backend) -> None:
    async with opened() as one:
        await one.ask("write", "insert into testing.notes values ('kept')")
        assert backend.query("select note from testing.notes") == [("kept",)]


async def test_what_is_undone_gives_its_rows_and_changes_nothing(
    opened: Open, backend: Backend
) -> None:
    note = "insert into testing.notes values ('a') returning note"
    async with opened() as one:
        for _ in range(2):
            assert await one.ask("undone", note) == [{"note": "a"}]
        assert backend.query("select note from testing.notes") == []
        await one.ask("write", note)
        with pytest.raises(UniqueViolation):
            await one.ask("undone", note)
        assert await one.ask("read", "select note from testing.notes") == [{"note": "a"}]


async def test_a_connection_is_kept_for_the_next_statement(opened: Open) -> None:
    async with opened(size=4) as one:
        kinds = ("read", "write", "undone", "read")
        assert len({await one.pid(kind) for kind in kinds}) == 1


async def test_every_connection_is_kept_however_many_were_needed_at_once(
    opened: Open, backend: Backend
) -> None:
    pids = list[set[int]]()
    async with opened(size=3) as one:
        for turn in range(2):
            for key in range(3):
                backend.hold(3 * turn + key)
            sql = "select pg_backend_pid() as pid from pg_advisory_xact_lock(%(key)s)"
            keys = range(3 * turn, 3 * turn + 3)
            asked = [asyncio.create_task(one.ask("read", sql, key=key)) for key in keys]
            await until(lambda: backend.waiting() == 3)
            for key in keys:
                backend.release(key)
            pids.append({rows[0]["pid"] for rows in await asyncio.gather(*asked)})
    assert pids[0] == pids[1]
    assert len(pids[0]) == 3


async def test_the_database_may_be_down_at_the_start_and_come_up_later(
    opened: Open, connecting: list[Callable[[], object]]
) -> None:
    connecting += [refuse, refuse_in_latin_1]
    async with opened() as one:
        with pytest.raises(Unavailable, match="out of reach"):
            await one.pid()
        assert one.counts.added["database_errors_total", "08001"] == 2
        assert await one.pid()


@each_kind
@pytest.mark.parametrize("refusal", [refuse, refuse_in_latin_1])
async def test_a_connect_that_failed_is_tried_once_more(
    opened: Open, connecting: list[Callable[[], object]], kind: str, refusal: Callable[[], object]
) -> None:
    connecting.append(refusal)
    async with opened() as one:
        assert await one.pid(kind)


async def test_a_new_connection_that_is_closed_at_once_counts_as_refused(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "hung_up", lambda _: True)
    async with opened() as one:
        with pytest.raises(Unavailable):
            await one.pid()
        assert one.counts.added["database_errors_total", "08001"] == 2


async def test_an_idle_connection_that_the_server_closed_is_replaced(
    opened: Open, backend: Backend
) -> None:
    async with opened() as one:
        first = await one.pid()
        backend.end(first)
        assert await one.pid("write") != first


@each_kind
@pytest.mark.parametrize("code", ["40001", "40P01", "25006"])
async def test_what_certainly_changed_nothing_is_tried_once_more_and_no_third_time(
    opened: Open, backend: Backend, kind: str, code: str
) -> None:
    fails = "select testing.fails(%(code)s, %(times)s) as attempts"
    async with opened() as one:
        assert await one.ask(kind, fails, code=code, times=1) == [{"attempts": 2}]
        with pytest.raises(Unavailable) as raised:
            await one.ask(kind, fails, code=code, times=10)
    assert raised.type is Unavailable
    assert backend.attempts == 4


async def test_a_primary_that_became_a_standby_loses_all_its_connections(
    opened: Open, backend: Backend
) -> None:
    async with opened(size=2) as one:
        backend.hold(1)
        held = one.held(1)
        await until(backend.waiting)
        first = await one.pid()
        backend.release(1)
        await held
        await one.ask("write", "select testing.fails('25006', 1)")
        assert one.pool.drops == 1
        assert len(one.pool._idle) == 1
        assert await one.pid() != first


LOST = [
    "select testing.dies(%(times)s) as attempts",
    "select testing.fails('57P01', %(times)s) as attempts",
    "select testing.fails('57P03', %(times)s) as attempts",
    "select testing.fails('08006', %(times)s) as attempts",
]


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("kind", ["read", "undone"])
async def test_what_changes_nothing_is_tried_once_more_on_another_connection_if_its_own_was_lost(
    opened: Open, backend: Backend, kind: str, lost: str
) -> None:
    async with opened() as one:
        assert await one.ask(kind, lost, times=1) == [{"attempts": 2}]
        with pytest.raises(Unavailable) as raised:
            await one.ask(kind, lost, times=10)
        assert await one.pid()
    assert raised.type is Unavailable
    assert backend.attempts == 4


@pytest.mark.parametrize("lost", LOST)
async def test_a_write_whose_connection_was_lost_is_unknown_and_never_repeated(
    opened: Open, backend: Backend, lost: str
) -> None:
    async with opened() as one:
        with pytest.raises(OutcomeUnknown):
            await one.ask("write", lost, times=1)
        assert await one.pid("write")
    assert backend.attempts == 1


async def test_a_connection_that_is_left_within_a_transaction_is_closed(opened: Open) -> None:
    async with opened() as one:
        first = await one.pid()
        await one.ask("write", "begin")
        assert await one.pid() != first


@each_kind
@pytest.mark.parametrize(
    ("code", "meaning"), [("57014", Unavailable), ("53100", Unavailable), ("22P02", ValueRefused)]
)
async def test_a_sqlstate_with_a_meaning_is_told_at_once_without_the_text_of_the_server(
    opened: Open, backend: Backend, kind: str, code: str, meaning: type[Exception]
) -> None:
    async with opened() as one:
        with pytest.raises(meaning) as raised:
            await one.ask(kind, "select testing.fails(%(code)s, 10)", code=code)
        assert one.counts.added["database_errors_total", code] == 1
    assert raised.type is meaning
    assert "text of the server" not in str(raised.value)
    assert backend.attempts == 1


@each_kind
@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("select testing.fails('23505', 10)", UniqueViolation),
        ("select nothing from nowhere", UndefinedTable),
        ("select %(a)s || 'a string with NUL'", ValueError),
    ],
)
async def test_any_other_error_passes_untouched_and_the_connection_stays(
    opened: Open, kind: str, sql: str, error: type[Exception]
) -> None:
    async with opened() as one:
        first = await one.pid()
        with pytest.raises(error):
            await one.ask(kind, sql, a="\0")
        assert await one.pid() == first


@each_kind
@pytest.mark.parametrize("missing", ["nothing from nowhere", "nothing", "nothing()"])
async def test_what_is_missing_from_a_database_that_lacks_a_migration_is_said_to_be_that(
    opened: Open, kind: str, missing: str
) -> None:
    async with opened(migrated=False) as one:
        with pytest.raises(Unavailable, match="not migrated"):
            await one.ask(kind, f"select {missing}")


async def test_more_than_the_queue_holds_is_refused_at_once_and_room_comes_back(
    opened: Open, backend: Backend
) -> None:
    backend.hold(1)
    async with opened(queue=1) as one:
        running = one.held(1)
        await until(backend.waiting)
        queued = asyncio.create_task(one.pid())
        await settle()
        for _ in range(3):
            with pytest.raises(Overloaded):
                await one.pid("write")
        backend.release(1)
        assert await running == [{"was": "held"}]
        assert await queued == await one.pid("write")


@pytest.mark.parametrize(
    # The default of PostgreSQL is none.
    ("spent", "least", "most"),
    [(0, 0, 0), (10, 0, 0), (100, 790, 800), (850, 70, 75)],
)
async def test_a_statement_has_less_time_at_the_server_where_some_was_spent(
    opened: Open, spent: float, least: int, most: int
) -> None:
    limits = "select {} from pg_settings where name in ('statement_timeout', 'lock_timeout')"
    async with opened(seconds=1000) as one:
        for _ in range(2):
            rows = await one.pool.read(limits.format("setting::int as milliseconds"), {}, spent)
            [limit] = {row["milliseconds"] for row in rows}
            assert 1000 * least <= limit <= 1000 * most
        assert await one.ask("read", limits.format("setting")) == [{"setting": "0"}] * 2


async def test_with_too_little_time_left_for_a_certain_outcome_nothing_is_sent(
    opened: Open, proxy: Proxy
) -> None:
    async with opened(proxy.dsn, seconds=1000) as one:
        with pytest.raises(Unavailable, match="in time") as raised:
            await one.pool.write("select 1", {}, 901)
        assert raised.type is Unavailable
        assert await one.pid()
    assert proxy.statements == [PID]


@pytest.mark.parametrize(
    ("kind", "outcome"), [("read", Unavailable), ("write", OutcomeUnknown), ("undone", Unavailable)]
)
async def test_a_server_that_never_answers_holds_no_connection_and_no_room(
    opened: Open, proxy: Proxy, kind: str, outcome: type[Exception]
) -> None:
    async with opened(proxy.dsn, queue=0, seconds=0.5) as one:
        await one.pid()
        proxy.vanish()
        with pytest.raises(Unavailable) as raised:
            await one.pid(kind)
        assert raised.type is outcome
        proxy.come_back()
        assert await one.pid(kind)
        more = 2 if kind == "undone" else 0  # the constraints, and the rollback
        await until(lambda: len(proxy.statements) == 3 + more)


async def test_a_server_that_never_answers_a_request_that_is_gone_holds_no_connection(
    opened: Open, proxy: Proxy
) -> None:
    async with opened(proxy.dsn, seconds=0.5) as one:
        await one.pid()
        proxy.vanish()
        gone = asyncio.create_task(one.pid())
        await until(lambda: one.counts.added["database_pool_in_use",] == 1)
        gone.cancel()
        await until(lambda: one.counts.added["database_pool_in_use",] == 0)


async def test_what_is_given_up_is_never_sent_and_does_not_connect_any_more(
    opened: Open, proxy: Proxy, connecting: list[Callable[[], object]]
) -> None:
    given_up = threading.Event()
    connecting += [lambda: given_up.wait(20), refuse, refuse]
    async with opened(proxy.dsn, seconds=0.05) as one:
        asked = [asyncio.create_task(one.pid("write")) for _ in range(2)]
        for each in asked:
            with pytest.raises(Unavailable) as raised:
                await each
            assert raised.type is Unavailable
        # The first was connecting already; the second never began.
        assert len(connecting) == 2
        given_up.set()
    assert proxy.statements == []


async def test_a_connect_that_takes_longer_than_a_statement_is_there_for_the_next(
    opened: Open, proxy: Proxy, connecting: list[Callable[[], object]]
) -> None:
    hangs = threading.Event()
    connecting.append(lambda: hangs.wait(20))
    async with opened(proxy.dsn, seconds=0.2) as one:
        for _ in range(3):
            with pytest.raises(Unavailable, match="in time"):
                await one.pid()
        hangs.set()
        await until(lambda: one.pool._idle)
        assert await one.pid()
    assert proxy.accepted == 1


async def test_a_connect_that_hangs_holds_up_no_finished_statement_and_no_other(
    opened: Open, backend: Backend, connecting: list[Callable[[], object]]
) -> None:
    hangs = threading.Event()
    backend.hold(1)
    async with opened(size=2) as one:
        running = one.held(1, "write")
        await until(backend.waiting)
        connecting.append(lambda: hangs.wait(60))
        connects = asyncio.create_task(one.pid())
        await until(lambda: not connecting)
        backend.release(1)
        try:
            assert await asyncio.wait_for(running, 20) == [{"was": "held"}]
            assert await asyncio.wait_for(one.pid("write"), 20)
            assert not connects.done()
        finally:
            hangs.set()
        assert await connects


async def test_the_second_host_is_reached_where_the_first_is_dead(
    opened: Open, backend: Backend
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as dead:
        port = dead.getsockname()[1]
    parts = psycopg2.extensions.parse_dsn(backend.dsn)
    hosts = {"host": f"127.0.0.1,{parts['host']}", "port": f"{port},{parts['port']}"}
    async with opened(psycopg2.extensions.make_dsn(backend.dsn, **hosts)) as one:
        assert await one.pid()


async def test_a_read_that_waits_in_the_queue_answers_everyone_who_asks_the_same(
    opened: Open, backend: Backend
) -> None:
    backend.hold(1)
    next_one = "select nextval('testing.attempts') as n, %(a)s as a"
    async with opened() as one:
        running = one.held(1)
        await until(backend.waiting)
        same = [asyncio.create_task(one.ask("read", next_one, a=1)) for _ in range(3)]
        other = asyncio.create_task(one.ask("read", next_one, a=2))
        writes = [asyncio.create_task(one.ask("write", next_one, a=1)) for _ in range(2)]
        late = one.held(1)  # the same as what runs already
        await settle()
        backend.release(1)
        await asyncio.gather(running, late)
        rows = [(await each)[0]["n"] for each in (*same, other, *writes)]
    assert rows == [1, 1, 1, 2, 3, 4]
    assert one.pool._queued_reads == {}


async def test_a_write_goes_on_when_the_request_that_asked_for_it_is_gone(
    opened: Open, backend: Backend
) -> None:
    backend.hold(1)
    async with opened(queue=0) as one:
        note = """
            insert into testing.notes
            select 'kept' from pg_advisory_xact_lock(%(key)s)
        """
        asked = asyncio.create_task(one.ask("write", note, key=1))
        await until(backend.waiting)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        with pytest.raises(Overloaded):  # it still takes its place
            await one.pid()
        backend.release(1)
    assert backend.query("select note from testing.notes") == [("kept",)]


async def test_closing_lets_what_runs_end_and_drops_what_is_queued(
    backend: Backend, counts: Counts
) -> None:
    backend.hold(1)
    connect = partial(open_async, backend.dsn)
    one = Opened(Pool(connect, configured(), lambda: None, counts), counts)
    running = one.held(1, "write")
    await until(backend.waiting)
    queued = asyncio.create_task(one.pid("write"))
    await settle()
    closing = asyncio.create_task(one.pool.close())
    with pytest.raises(Unavailable, match="stopping"):
        await queued
    assert not running.done()
    backend.release(1)
    assert await running == [{"was": "held"}]
    await closing
    assert one.pool._idle == []
    with pytest.raises(Unavailable):
        await one.pid()


async def test_connections_that_run_a_statement_are_counted(opened: Open, backend: Backend) -> None:
    backend.hold(1)
    async with opened(size=3) as one:
        held = [one.held(1, "write") for _ in range(2)]
        await until(lambda: backend.waiting() == 2)
        assert one.counts.added["database_pool_size",] == 3
        assert one.counts.added["database_pool_in_use",] == 2
        backend.release(1)
        await asyncio.gather(*held)
        assert one.counts.added["database_pool_in_use",] == 0


def patiently(one: Opened, n: int) -> asyncio.Task[list[Row]]:
    """Begins a read that waits for its turn."""
    context = copy_context()
    context.run(patient.set, True)
    return asyncio.create_task(one.ask("read", HELD + " -- %(n)s", key=n, n=n), context=context)


async def test_however_many_reads_are_patient_none_is_refused_and_half_the_connections_stay_free(
    opened: Open, backend: Backend
) -> None:
    for key in range(20):
        backend.hold(key)
    async with opened(size=4, queue=0) as one:
        waiting = [patiently(one, n) for n in range(20)]
        await until(lambda: backend.waiting() == 2)
        assert await one.pid()
        assert backend.waiting() == 2
        for key in range(20):
            backend.release(key)
        assert await asyncio.gather(*waiting) == [[{"was": "held"}]] * 20


async def test_patient_reads_wait_while_the_queue_is_full(opened: Open, backend: Backend) -> None:
    backend.hold(1)
    async with opened(size=2, queue=0) as one:
        held = [one.held(1, "write") for _ in range(2)]
        await until(lambda: backend.waiting() == 2)
        waiting = patiently(one, 2)
        await settle()
        assert not waiting.done()
        backend.release(1)
        await asyncio.gather(*held)
        assert await waiting == [{"was": "held"}]


@pytest.mark.parametrize("is_patient", [True, False])
async def test_where_the_database_does_not_answer_nobody_waits_for_the_turns_of_others(
    opened: Open, backend: Backend, is_patient: bool
) -> None:
    many = range(20)
    for key in many:
        backend.hold(key)
    began = time.monotonic()
    async with opened(size=2, queue=len(many), seconds=0.5) as one:
        asked = [
            patiently(one, key)
            if is_patient
            else asyncio.create_task(one.pool.read(HELD, {"key": key}, in_turn=True))
            for key in many
        ]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        took = time.monotonic() - began
    assert {type(end) for end in ends} == {Unavailable}
    assert took < 5  # and not 20 time-outs, one after the other
    for key in many:
        backend.release(key)


async def test_a_large_answer_that_waited_too_long_for_its_turn_ends_no_other_wait(
    opened: Open, backend: Backend
) -> None:
    backend.hold(1)
    backend.hold(2)
    async with opened(size=2, seconds=2) as one:
        first = patiently(one, 1)
        await until(lambda: backend.waiting() == 1)
        second = patiently(one, 2)
        large = asyncio.create_task(one.pool.read(PID, {}, in_turn=True))
        last = patiently(one, 3)
        await asyncio.sleep(0.6)  # so that the second turn ends after the time of the large one
        backend.release(1)
        await first
        with pytest.raises(Unavailable):
            await large
        backend.release(2)
        assert await second == await last == [{"was": "held"}]


async def test_no_more_large_answers_wait_for_their_turn_than_the_queue_holds(
    opened: Open, backend: Backend
) -> None:
    backend.hold(1)
    async with opened(size=2, queue=2) as one:
        held = [one.held(1)]
        await until(lambda: backend.waiting() == 1)
        more = [one.pool.read(HELD + f" -- {n}", {"key": 1}, in_turn=True) for n in range(12)]
        asked = [asyncio.create_task(each) for each in more]
        await settle()
        assert any(isinstance(one.exception(), Overloaded) for one in asked if one.done())
        backend.release(1)
        await asyncio.gather(*held, *asked, return_exceptions=True)


async def test_a_large_answer_is_not_refused_because_many_that_are_patient_wait_for_their_turn(
    opened: Open, backend: Backend
) -> None:
    backend.hold(1)
    async with opened(size=2, queue=1) as one:
        waiting = [patiently(one, 1), patiently(one, 2), patiently(one, 3)]
        await until(backend.waiting)
        assert await one.pool.read(PID, {}, in_turn=True)
        backend.release(1)
        await asyncio.gather(*waiting)


async def test_when_the_service_stops_those_that_wait_for_a_turn_are_answered(
    opened: Open, backend: Backend
) -> None:
    backend.hold(1)
    async with opened() as one:
        runs, waits = patiently(one, 1), patiently(one, 2)
        await until(backend.waiting)
        one.pool.stop_waiting()
        with pytest.raises(Unavailable, match="stopping"):
            await waits
        backend.release(1)
        await runs


async def test_where_no_thread_can_be_started_a_read_is_refused_and_the_next_is_answered(
    opened: Open, connecting: list[Callable[[], object]]
) -> None:
    def no_thread() -> None:
        raise RuntimeError("can't start new thread")

    connecting += [no_thread] * 2
    async with opened(queue=0) as one:
        with pytest.raises(Unavailable, match="out of reach"):
            await one.pid()
        assert await one.pid()
