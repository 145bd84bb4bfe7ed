import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from math import log2
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import UniqueViolation
from psycopg2.extensions import connection

from postgres import batching
from postgres.background import keep_running
from postgres.batching import (
    HALVED,
    LARGE,
    LOCK,
    MOST,
    QUEUED,
    READ,
    STATEMENT,
    Batcher,
    Statement,
)
from postgres.conftest import (
    Backend,
    Counts,
    Proxy,
    refuse,
    refuse_in_latin_1,
    settle,
    until,
)
from postgres.connections import Row, Values, execute, open_async
from postgres.errors import (
    CheckTooLong,
    Lost,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
    ValueRefused,
)
from postgres.pool import patient

pytestmark = pytest.mark.anyio
both = pytest.mark.parametrize("writes", [False, True])

# Each row tells what it was asked for with; see `testing.ask` for what the ids do.
SQL = """
    select asked.id, asked.n, %(id)s::text[] as batch, %(confined_to)s::text as confined_to,
        current_setting('config_service.actor', true) as actor,
        nullif(current_setting('config_service.note', true), '') as note,
        (select array_agg(name) from pg_prepared_statements) as prepared
    from unnest(%(id)s::text[], %(n)s::int[]) as asked (id, n), testing.ask(asked.id)
    where asked.id <> 'absent'
"""
TEST = Statement(SQL, None, "anonymous")


def failing() -> None:
    raise RuntimeError("can't start new thread")


class Batches:
    """A batcher that runs, on a clock that can be advanced, with a stand-in for the pool.

    The pool gives each id a row that says so, or raises what `refused` has for one of the ids.
    """

    def __init__(self, dsn: str, counts: Counts, seconds: float, *, writes: bool) -> None:
        self._dsn, self.counts, self._ahead = dsn, counts, 0.0
        loop = asyncio.get_running_loop()
        time = loop.time
        loop.time = lambda: time() + self._ahead  # type: ignore[method-assign]
        self.opened = list[connection]()
        self.alone = list[list[str]]()
        self.spent = list[float]()
        self.patient = list[bool]()
        self.sql = list[str]()
        self.refused = dict[str, Exception]()
        self.drops, self.seconds = 3, seconds
        pool: Any = self
        self.batcher = Batcher(self._connect, pool, counts, writes=writes)
        running = keep_running("batches", self.batcher.run, counts)
        self.running = asyncio.create_task(running)

    async def _connect(self) -> connection:
        self.opened.append(await open_async(self._dsn))
        return self.opened[-1]

    async def read(self, sql: str, values: Values, spent: float = 0) -> list[Row]:
        self.alone.append(values["id"])
        self.spent.append(spent)
        self.sql.append(sql)
        self.patient.append(patient.get())
        for one in values["id"]:
            if one in self.refused:
                raise self.refused[one]
        return [{"id": one, "batch": "alone"} for one in values["id"] if one != "absent"]

    write = read

    def advance(self, seconds: float) -> None:
        self._ahead += seconds

    async def connected(self) -> None:
        await until(lambda: self.batcher._is_connected)

    def ask(self, id: str, n: Any = 0, statement: Statement = TEST) -> asyncio.Task[Row | None]:
        return asyncio.create_task(self.batcher.ask(statement, {"id": id, "n": n}))

    async def together(self, *ids: str) -> list[Any]:
        """For each, the ids that it was asked for with, or the kind of exception."""
        return await ends(*map(self.ask, ids))

    async def under_way(self, backend: Backend, id: str = "held 1") -> asyncio.Task[Row | None]:
        """Asks for what waits for a lock that is held, until it waits."""
        asked = self.ask(id)
        await until(backend.waiting)
        return asked


async def ends(*asked: asyncio.Task[Row | None]) -> list[Any]:
    """For each, the ids that it was asked for with, None, or the kind of exception."""
    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    return [
        type(one) if isinstance(one, BaseException) else one and one["batch"] for one in outcomes
    ]


type Open = Callable[..., Any]


@pytest.fixture
def batches(backend: Backend, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Runs a batcher for the time of a block, unless it is told otherwise from when it is
    connected; it connects anew without a pause."""
    monkeypatch.setattr(random, "uniform", lambda *_: 0)
    backend.hold(1)

    @asynccontextmanager
    async def running(
        dsn: str = "", *, writes: bool = False, seconds: float = 100, at_once: bool = False
    ) -> AsyncIterator[Batches]:
        one = Batches(dsn or backend.dsn, counts, seconds, writes=writes)
        try:
            if not at_once:
                await one.connected()
            yield one
        finally:
            one.running.cancel()
            await asyncio.wait([one.running])
            assert all(opened.closed for opened in one.opened)

    return running


@both
async def test_what_is_asked_in_the_same_turn_is_one_statement_and_each_gets_its_row(
    batches: Open, writes: bool
) -> None:
    async with batches(writes=writes) as one:
        ids = ["A", "absent", "C"]
        assert await one.together(*ids) == [ids, None, ids]
        row = await one.ask("D", 4, TEST._replace(confined_to="shop"))
    assert row is not None
    assert (row["id"], row["n"], row["confined_to"]) == ("D", 4, "shop")


async def test_what_is_asked_while_a_statement_is_under_way_is_the_next_batch(
    batches: Open, backend: Backend
) -> None:
    async with batches() as one:
        first = await one.under_way(backend)
        second = one.ask("A")
        await settle()
        third = one.ask("B")
        await settle()
        backend.release(1)
        assert await ends(first, second, third) == [["held 1"], ["A", "B"], ["A", "B"]]


async def test_what_is_asked_a_few_turns_after_an_answer_goes_with_those_that_wait(
    batches: Open, backend: Backend
) -> None:
    async with batches() as one:
        first = await one.under_way(backend)
        waits = one.ask("A")
        await settle()
        backend.release(1)
        await first
        assert await ends(waits, one.ask("B")) == [["A", "B"]] * 2


async def test_reads_of_the_same_share_an_entry_and_reads_with_other_values_do_not(
    batches: Open,
) -> None:
    async with batches() as one:
        asked = [one.ask("A", n) for n in (1, 1, 2)]
        assert await ends(*asked, one.ask("B"), one.ask("A", 2)) == [
            *(["A", "B"], ["A", "B"], ["A"]),
            *(["A", "B"], ["A"]),
        ]
        rows = await asyncio.gather(*asked)
        assert [row["n"] for row in rows] == [1, 1, 2]


async def test_each_write_is_made_by_itself_even_with_the_same_values(batches: Open) -> None:
    async with batches(writes=True) as one:
        assert await one.together("A", "A", "B", "A") == [["A", "B"], ["A"], ["A", "B"], ["A"]]


@pytest.mark.parametrize(
    "other", [{"sql": SQL + " "}, {"confined_to": "shop"}, {"actor": "bob"}, {"note": "why"}]
)
async def test_those_that_differ_in_more_than_values_are_never_mixed(
    batches: Open, other: dict[str, str]
) -> None:
    async with batches(writes=True) as one:
        asked = [one.ask("A"), one.ask("B", 0, TEST._replace(**other)), one.ask("C")]
        assert await ends(*asked) == [["A", "C"], ["B"], ["A", "C"]]


async def test_history_is_told_the_actor_of_the_writes_of_a_batch(batches: Open) -> None:
    async with batches(writes=True) as one:
        actors = ["alice", "bob", "anonymous"]
        rows = [await one.ask("A", 0, TEST._replace(actor=actor)) for actor in actors]
        assert [row["actor"] or "anonymous" for row in rows] == actors
        one.refused["B"] = UniqueViolation()
        one.drops += 1
        with pytest.raises(UniqueViolation):
            await one.ask("B", 0, TEST._replace(actor="alice"))
    assert "set_config('config_service.actor', %(actor)s, true)" in one.sql[0]


async def test_history_is_told_the_note_of_a_batch_and_none_where_there_is_none(
    batches: Open,
) -> None:
    async with batches(writes=True) as one:
        notes = ["why", "", "50 % off, %(id)s", "anonymous", "it's; --"]
        alike = [TEST._replace(note=note) for note in notes for _ in range(2)]
        rows = await asyncio.gather(*(one.ask(str(n), 0, each) for n, each in enumerate(alike)))
        assert [row["note"] or "" for row in rows] == [each.note for each in alike]
        assert [row["batch"] for row in rows[:2]] == [["0", "1"]] * 2
        both = TEST._replace(actor="alice", note="why")
        row = await one.ask("A", 0, both)
        assert (row["actor"], row["note"]) == ("alice", "why")
        one.drops += 1
        await one.ask("B", 0, both)
    assert "set_config('config_service.note', %(note)s, true)" in one.sql[0]


async def test_no_more_than_the_most_ids_are_in_a_batch(batches: Open) -> None:
    async with batches() as one:
        ids = [str(n) for n in range(MOST + 1)]
        assert await one.together(*ids) == [ids[:MOST]] * MOST + [[ids[MOST]]]
    assert one.counts.observed == [("database_batch_size", MOST), ("database_batch_size", 1)]


async def test_where_too_many_batches_wait_the_pool_is_asked(
    batches: Open, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MOST_BATCHES", 3)
    async with batches() as one:
        first = await one.under_way(backend)
        queued = [one.ask("A", n) for n in range(3)]
        await settle()
        assert await ends(one.ask("A", 3)) == ["alone"]
        backend.release(1)
        assert await ends(first, *queued) == [["held 1"], ["A"], ["A"], ["A"]]


async def test_what_has_much_text_is_asked_through_the_pool(batches: Open) -> None:
    async with batches() as one:
        sql = SQL.replace("%(n)s::int[]", "%(n)s::text[]")
        texts = [one.ask("A", "x" * size, TEST._replace(sql=sql)) for size in (LARGE, LARGE - 1)]
        assert await ends(*texts) == ["alone", ["A"]]


@both
async def test_until_there_is_a_connection_the_pool_is_asked(
    batches: Open, proxy: Proxy, writes: bool
) -> None:
    proxy.vanish()
    async with batches(proxy.dsn, writes=writes, at_once=True) as one:
        assert await one.together("A", "absent") == ["alone", None]
        await until(lambda: proxy.accepted)
        one.refused["B"] = ValueRefused()
        assert await one.together("B") == [ValueRefused]
        proxy.come_back()
        await one.connected()
        assert await one.together("C") == [["C"]]
    assert one.alone == [["A"], ["absent"], ["B"]]


@both
@pytest.mark.parametrize("failure", [refuse, refuse_in_latin_1, failing])
async def test_whatever_a_connect_raises_the_pool_is_asked_meanwhile_and_batches_come_back(
    batches: Open,
    counts: Counts,
    connecting: list[Callable[[], object]],
    writes: bool,
    failure: Callable[[], object],
) -> None:
    connecting += [failure] * 3
    async with batches(writes=writes, at_once=True) as one:
        assert await one.together("A") == ["alone"]
        await one.connected()
        assert await one.together("B") == [["B"]]
    unexpected = 0 if failure is refuse else 3
    assert counts.added["background_failures_total", "batches"] == unexpected


@both
@pytest.mark.parametrize("one", ["fails 23505", "fails 22P02", "fails 55P03", "a NUL \0"])
async def test_what_was_refused_for_one_is_asked_in_halves_until_that_one_is_alone(
    batches: Open, writes: bool, one: str
) -> None:
    async with batches(writes=writes) as several:
        outcomes = await several.together(one, "B", "C", "D", "E")
        assert outcomes == ["alone", ["B"], ["C", "D", "E"], ["C", "D", "E"], ["C", "D", "E"]]
        assert several.counts.added["database_batch_fallbacks_total",] == 1
    assert several.alone == [[one]]
    assert len(several.opened) == 1


@both
async def test_a_check_that_takes_too_long_is_found_by_asking_for_each_alone(
    batches: Open, writes: bool
) -> None:
    ids = ["B", "fails CS100", "C", "D"]
    async with batches(writes=writes) as one:
        one.refused["fails CS100"] = CheckTooLong()
        assert await one.together(*ids) == ["alone", CheckTooLong, "alone", "alone"]
        assert await one.together("E") == [["E"]]
    assert one.alone == [ids, *([alone] for alone in ids)]


@both
async def test_what_is_refused_for_no_one_in_particular_goes_to_the_pool_as_one_statement(
    batches: Open, writes: bool
) -> None:
    async with batches(writes=writes) as one:
        assert await one.together("fails 57014", "absent", "B") == ["alone", None, "alone"]
        assert await one.together("C") == [["C"]]
        assert one.counts.added["database_batch_fallbacks_total",] == 3
    assert one.alone == [["fails 57014", "absent", "B"]]
    assert len(one.opened) == 1


@pytest.mark.parametrize("error", [UniqueViolation(), ValueRefused("bad"), ValueError("NUL")])
async def test_what_the_pool_refuses_for_one_is_refused_for_that_one_alone(
    batches: Open, error: Exception
) -> None:
    async with batches(writes=True) as one:
        one.refused["B"] = error
        outcomes = await one.together("fails 57014", "B", "C", "D")
        assert outcomes == ["alone", type(error), "alone", "alone"]


async def test_what_the_pool_refuses_for_all_is_told_all_by_an_exception_each(
    batches: Open,
) -> None:
    async with batches(writes=True) as one:
        one.refused["B"] = Unavailable("too slow")
        asked = [one.ask(id) for id in ("fails 57014", "B", "C")]  # noqa: A001
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["too slow"] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert one.alone == [["fails 57014", "B", "C"]]


async def test_nobody_joins_a_half_so_that_halving_comes_to_an_end(
    batches: Open, backend: Backend
) -> None:
    async with batches() as one:
        asked = [one.ask(id) for id in ("later 1", "B", "fails 23505", "D")]  # noqa: A001
        await until(backend.waiting)
        joins = one.ask("E")
        await settle()
        backend.release(1)
        halves = [["later 1", "B"]] * 2
        assert await ends(*asked, joins) == [*halves, "alone", ["D"], ["E"]]


async def test_a_half_is_sent_later_than_a_batch_but_not_too_late(
    batches: Open, backend: Backend
) -> None:
    for late, outcome in ((False, ["B", "D"]), (True, "alone")):
        async with batches(writes=True, seconds=100) as one:
            asked = [one.ask(id) for id in ("later 1", "fails 23505", "B", "D")]  # noqa: A001
            await until(backend.waiting)
            one.advance(100 * QUEUED + 1)
            await settle()
            assert one.alone == []
            one.advance(100 * (HALVED - QUEUED) * late)
            backend.release(1)
            assert (await ends(*asked))[2:] == [outcome] * 2
        backend.query("alter sequence testing.attempts restart")
        backend.hold(1)


async def test_what_has_waited_too_long_goes_to_the_pool_as_one_statement(
    batches: Open, backend: Backend
) -> None:
    async with batches(writes=True, seconds=100) as one:
        first = await one.under_way(backend)
        waiting = [one.ask(id) for id in ("A", "B")]  # noqa: A001
        await settle()
        one.advance(100 * QUEUED - 5)
        later = one.ask("C", 0, TEST._replace(actor="bob"))
        await settle()
        assert one.alone == []
        one.advance(6)
        assert await ends(*waiting) == ["alone"] * 2
        assert not first.done()
        backend.release(1)
        assert await ends(first, later) == [["held 1"], ["C"]]
    assert one.alone == [["A", "B"]]
    assert 100 * QUEUED < one.spent[0] < 100 * QUEUED + 20


async def test_what_a_patient_request_began_is_not_patient_at_the_pool(
    batches: Open, backend: Backend
) -> None:
    async with batches(seconds=100) as one:
        first = await one.under_way(backend)
        patient.set(True)
        waiting = one.ask("A")
        patient.set(False)
        waiting_too = one.ask("B")
        await settle()
        one.advance(100 * QUEUED + 1)
        assert await ends(waiting, waiting_too) == ["alone"] * 2
        backend.release(1)
        await first
    assert one.patient == [False]


@pytest.mark.parametrize(
    ("writes", "share", "outcome"), [(False, READ, "alone"), (True, 1, OutcomeUnknown)]
)
async def test_a_server_that_does_not_answer_in_time_is_left(
    batches: Open, backend: Backend, writes: bool, share: float, outcome: object
) -> None:
    async with batches(writes=writes, seconds=40) as one:
        asked = await one.under_way(backend)
        one.advance(40 * share - 10)
        await settle()
        assert not asked.done()
        assert not one.opened[0].closed
        one.advance(11)
        assert await ends(asked) == [outcome]
        await until(lambda: len(one.opened) == 2)
        assert one.opened[0].closed
        await one.connected()
        assert await one.together("B") == [["B"]]
    assert one.counts.added["background_failures_total", "batches"] == 0


@pytest.mark.parametrize(("writes", "outcome"), [(False, "alone"), (True, OutcomeUnknown)])
async def test_of_a_lost_connection_reads_are_repeated_and_writes_that_were_sent_are_unknown(
    batches: Open, backend: Backend, writes: bool, outcome: object
) -> None:
    async with batches(writes=writes) as one:
        sent = await one.under_way(backend)
        queued = [one.ask("A", n) for n in range(2)]
        await settle()
        backend.end(one.opened[0].info.backend_pid)
        assert await ends(sent, *queued) == [outcome, "alone", "alone"]
        await until(lambda: len(one.opened) == 2)
        await one.connected()
        assert await one.together("B") == [["B"]]
        assert one.counts.added["database_errors_total", "none"] == 1


async def test_what_was_lost_before_it_was_sent_is_asked_through_the_pool(
    batches: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(opened: connection, *_: object) -> None:
        opened.close()
        raise Lost

    async with batches(writes=True) as one:
        with monkeypatch.context() as losing:
            losing.setattr(batching, "execute", lost)
            assert await one.together("A", "B") == ["alone"] * 2
        await until(lambda: len(one.opened) == 2)
    assert one.alone == [["A", "B"]]


@pytest.mark.parametrize(("writes", "outcome"), [(False, KeyError), (True, OutcomeUnknown)])
async def test_what_was_done_and_cannot_be_read_is_answered_and_logged_and_it_goes_on(
    batches: Open, caplog: pytest.LogCaptureFixture, writes: bool, outcome: type[Exception]
) -> None:
    async with batches(writes=writes) as one:
        one.refused["A"] = KeyError("id")
        without_id = TEST._replace(sql=SQL.replace("asked.id, asked.n", "asked.n"))
        assert await ends(one.ask("A", 0, without_id)) == [outcome]
        await until(lambda: len(one.opened) == 2)
        await one.connected()
        assert await one.together("B") == [["B"]]
    assert [record.message for record in caplog.records] == ["failed, and is tried again: batches"]


@both
async def test_an_idle_connection_that_the_server_closed_is_replaced(
    batches: Open, backend: Backend, writes: bool
) -> None:
    async with batches(writes=writes) as one:
        backend.end(one.opened[0].info.backend_pid)
        assert await one.together("A", "B") == ["alone"] * 2
        await until(lambda: len(one.opened) == 2)
        await one.connected()
        assert await one.together("C") == [["C"]]
    assert one.alone == [["A", "B"]]


async def test_once_the_pool_dropped_its_connections_that_of_the_batches_is_replaced_too(
    batches: Open,
) -> None:
    async with batches() as one:
        one.drops += 1
        assert await one.together("A") == ["alone"]
        await until(lambda: len(one.opened) == 2)
        for _ in range(2):
            await one.connected()
            assert await one.together("B") == [["B"]]
    assert len(one.opened) == 2


async def test_a_statement_is_prepared_once_under_a_name_of_its_text(batches: Open) -> None:
    async with batches() as one:
        other = TEST._replace(sql=SQL + " -- other")
        rows = [await one.ask("A", 0, each) for each in (TEST, TEST, other, TEST)]
        assert [len(row["prepared"]) for row in rows] == [1, 1, 2, 2]
    numbered = SQL % {"confined_to": "$1", "id": "$2", "n": "$3"}
    assert rows[0]["prepared"] == [f"batch_{sha256(numbered.encode()).hexdigest()[:16]}"]


async def test_what_is_prepared_already_by_another_client_of_a_pooler_is_used(
    batches: Open,
) -> None:
    async with batches() as one:
        first = await one.ask("A")
        # A pooler hands the same connection to another, who knows of nothing.
        kept = one.opened[0]
        names = {"id": ["B"], "n": [0], "confined_to": None, "actor": ""}
        batch = batching._Batch(TEST, 0)
        batch.add({"id": "B", "n": 0})
        sql = await one.batcher._prepare(batch, kept, {})
        found = await execute(kept, one.counts, sql, names)
        assert [row["prepared"] for row in found] == [first["prepared"]]


async def test_what_is_prepared_no_more_behind_a_pooler_is_prepared_again(batches: Open) -> None:
    async with batches() as one:
        await one.ask("A")
        await execute(one.opened[0], one.counts, "deallocate all")
        assert await one.together("B", "C") == ["alone"] * 2
        assert await one.together("D") == [["D"]]
    assert one.alone == [["B", "C"]]
    assert len(one.opened) == 1


async def test_what_cannot_be_prepared_is_asked_through_the_pool_which_says_why(
    batches: Open,
) -> None:
    async with batches() as one:
        one.refused["A"] = psycopg2.ProgrammingError("no such table")
        nothing = TEST._replace(sql="select %(id)s from nowhere")
        for _ in range(2):
            assert await ends(one.ask("A", 0, nothing)) == [psycopg2.ProgrammingError]
        assert await one.together("B") == [["B"]]
    assert len(one.opened) == 1


@pytest.mark.parametrize(("second", "outcome"), [("B", ["held 1", "B"]), ("fails 57014", "alone")])
async def test_whoever_gives_up_does_not_disturb_the_others(
    batches: Open, backend: Backend, second: str, outcome: object
) -> None:
    async with batches() as one:
        give_up = [one.ask("held 1"), one.ask(second)]
        others = [one.ask(second), one.ask(second)]
        await until(backend.waiting)
        for asked in give_up:
            asked.cancel()
        await settle()
        backend.release(1)
        assert await ends(*others) == [outcome] * 2
        assert await one.together("C") == [["C"]]
    assert len(one.opened) == 1


@pytest.mark.parametrize(("writes", "outcome"), [(False, Unavailable), (True, OutcomeUnknown)])
async def test_when_it_ends_the_connection_is_closed_and_nobody_waits_any_more(
    batches: Open, backend: Backend, writes: bool, outcome: type[Exception]
) -> None:
    async with batches(writes=writes) as one:
        sent = await one.under_way(backend)
        queued = [one.ask("A", n) for n in range(2)]
        await settle()
        one.running.cancel()
        assert await ends(sent, *queued) == [outcome, "alone", "alone"]
        with suppress(asyncio.CancelledError):
            await one.running
        assert one.opened[0].closed
        assert await one.together("B") == ["alone"]


async def test_a_connection_that_runs_a_batch_is_in_use(batches: Open, backend: Backend) -> None:
    async with batches() as one:
        asked = await one.under_way(backend)
        assert one.counts.added["database_pool_in_use",] == 1
        backend.release(1)
        await asked
        assert one.counts.added["database_pool_in_use",] == 0


def test_the_shares_of_a_request_s_time_fit_together() -> None:
    # What goes through the pool at last has time left there.
    assert QUEUED + STATEMENT < READ < 1
    assert HALVED + STATEMENT < 1
    # The whole batch waits for the lock of one row, then halves do, then that one.
    finding_one = (2 + log2(MOST)) * LOCK
    assert QUEUED + finding_one < HALVED
    assert finding_one < QUEUED


async def test_the_pool_is_asked_in_no_other_way_where_it_is_full(batches: Open) -> None:
    async with batches(at_once=True) as one:
        one.refused["A"] = Overloaded("full")
        assert await one.together("A") == [Overloaded]
