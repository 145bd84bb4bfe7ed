import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg2.extensions import connection

from postgres import listening
from postgres.background import keep_running
from postgres.conftest import (
    Backend,
    Counts,
    Proxy,
    refuse,
    refuse_in_latin_1,
    settle,
    until,
)
from postgres.connections import open_async
from postgres.errors import Overloaded, Unavailable
from postgres.listening import GROUP, Listener, Versions
from postgres.pool import patient

pytestmark = pytest.mark.anyio


# How often it is looked before the wait for the first change: before it is known what is watched,
# and after.
WAITS = 2


def never(_: object) -> bool:
    return False


class Watched:
    """Tables with a version for each id, and watchers that count how often they look."""

    def __init__(self, dsn: str, counts: Counts, most: int = 1000) -> None:
        self._dsn, self.counts = dsn, counts
        self.tables: Versions = {"A": 1, "B": 1}
        self.failures = list[Exception]()
        self.asked = list[list[str]]()
        self.looks = Counter[str]()
        self.opened = list[connection]()
        self.listener = Listener(self._connect, self._versions, most, counts)

    async def _connect(self) -> connection:
        self.opened.append(await open_async(self._dsn))
        return self.opened[-1]

    async def _versions(self, ids: list[str]) -> Versions:
        self.asked.append(ids)
        if self.failures:
            raise self.failures.pop()
        return {watched: self.tables[watched] for watched in ids if watched in self.tables}

    def look(self, id: str) -> Callable[[], Awaitable[int]]:
        async def look() -> int:
            self.looks[id] += 1
            return self.looks[id]

        return look

    def wait(
        self, id: str, done: Callable[[int], bool] = never, seconds: float = 60
    ) -> asyncio.Task[int]:
        return asyncio.create_task(self.listener.wait(self.look(id), done, seconds, lambda _: id))

    def wake(self, id: str) -> None:
        self.listener._watches[id].wake()

    @asynccontextmanager
    async def doing(self, *work: str) -> AsyncIterator[None]:
        """Keeps `listen` or `refresh` running for the time of the block."""
        tasks = [
            asyncio.create_task(keep_running(one, getattr(self.listener, one), self.counts))
            for one in work
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(opened.closed for opened in self.opened)


@pytest.fixture
def watched(backend: Backend, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """It listens and refreshes at once where it failed, and refreshes only when it is due."""
    monkeypatch.setattr(random, "uniform", lambda *_: 0)
    monkeypatch.setattr(listening, "REFRESH_SECONDS", 3600)
    return Watched(backend.dsn, counts)


async def test_a_wait_ends_when_the_first_look_is_done(watched: Watched) -> None:
    assert await watched.wait("A", lambda looks: looks == 1) == 1


async def test_whoever_has_to_wait_looks_again_when_a_change_cannot_be_missed_any_more(
    watched: Watched,
) -> None:
    waiting = watched.wait("A")
    await settle()
    assert watched.looks == {"A": WAITS}
    waiting.cancel()


async def test_it_looks_again_after_each_change_of_its_own_id_until_it_is_done(
    watched: Watched,
) -> None:
    waiting = watched.wait("A", lambda looks: looks == WAITS + 2)
    other = watched.wait("B")
    for changes in (0, 1):
        await settle()
        assert watched.looks == {"A": WAITS + changes, "B": WAITS}
        watched.wake("A")
    assert await waiting == WAITS + 2
    other.cancel()


async def test_a_change_while_it_looks_is_not_missed(watched: Watched) -> None:
    async def look() -> int:
        seen = await watched.look("A")()
        if seen == WAITS:
            watched.wake("A")
        return seen

    done = (WAITS + 1).__eq__
    assert await watched.listener.wait(look, done, 60, lambda _: "A") == WAITS + 1


async def test_when_the_time_is_over_it_returns_what_it_saw(watched: Watched) -> None:
    assert await watched.wait("A", never, seconds=0.3) == WAITS
    assert await watched.wait("A", never, seconds=0) <= 2 * WAITS


async def test_a_look_that_is_not_over_in_time_does_not_make_the_wait_longer(
    watched: Watched,
) -> None:
    async def look() -> int:
        if watched.looks["A"]:
            await asyncio.Event().wait()
        return await watched.look("A")()

    assert await watched.listener.wait(look, never, 0.05, lambda _: "A") == 1


async def test_whoever_gives_up_lets_the_others_wait(watched: Watched) -> None:
    waiting = watched.wait("A", lambda looks: looks == 2 * WAITS + 1)
    await settle()
    cancelled = watched.wait("A")
    await settle()
    cancelled.cancel()
    await settle()
    assert not waiting.done()
    watched.wake("A")
    assert await waiting == 2 * WAITS + 1


async def test_those_who_have_gone_leave_nothing_behind_with_those_who_stay(
    watched: Watched,
) -> None:
    waiting = watched.wait("A")
    await settle()
    for _ in range(3):
        await watched.wait("A", never, seconds=0)
    assert len(watched.listener._watches["A"]._waiting) == 1
    waiting.cancel()
    await settle()
    assert watched.listener._watches == {}


async def test_those_who_wait_are_woken_in_groups_with_turns_for_others_in_between(
    watched: Watched,
) -> None:
    several = 3 * GROUP + 1
    before = WAITS * several
    waiting = [watched.wait("A", lambda looks: looks > WAITS * several) for _ in range(several)]
    await until(lambda: watched.looks["A"] == before)
    watched.wake("A")
    most = 0
    while before < (WAITS + 1) * several:
        await asyncio.sleep(0)
        most, before = max(most, watched.looks["A"] - before), watched.looks["A"]
    assert most == GROUP
    await asyncio.gather(*waiting)


async def test_when_waiting_stops_all_end_with_what_they_saw_and_nobody_waits_any_more(
    watched: Watched,
) -> None:
    waiting = [watched.wait("A"), watched.wait("B")]
    await settle()
    watched.listener.stop_waiting()
    assert await asyncio.gather(*waiting) == [WAITS, WAITS]
    assert await watched.wait("A") == WAITS + 1


async def test_a_failure_to_look_is_the_waiter_s(watched: Watched) -> None:
    async def look() -> int:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await watched.listener.wait(look, never, 60, lambda _: "A")
    watched.failures = [Unavailable("away")]
    with pytest.raises(Unavailable, match="away"):
        await watched.wait("A")
    assert watched.counts.added == {("watchers",): 0}


async def test_no_more_wait_than_there_may_be(backend: Backend, counts: Counts) -> None:
    watched = Watched(backend.dsn, counts, most=2)
    waiting = [watched.wait("A"), watched.wait("B")]
    await settle()
    assert counts.added == {("watchers",): 2}
    with pytest.raises(Overloaded):
        await watched.wait("A")
    waiting.pop().cancel()
    await settle()
    waiting.append(watched.wait("A"))
    await settle()
    assert counts.added == {("watchers",): 2}
    for task in waiting:
        task.cancel()


async def test_looks_are_patient_and_those_of_other_requests_are_not(watched: Watched) -> None:
    async def look() -> bool:
        return patient.get()

    waiting = asyncio.create_task(watched.listener.wait(look, bool, 60, lambda _: "A"))
    assert await waiting
    assert not patient.get()


async def test_a_new_watch_knows_its_version_from_before_the_last_look_and_others_join_it(
    watched: Watched,
) -> None:
    async def look() -> int:
        seen = await watched.look("A")()
        assert (watched.asked == [["A"]]) == (seen == WAITS)
        return seen

    waiting = asyncio.create_task(watched.listener.wait(look, never, 60, lambda _: "A"))
    await settle()
    others = [watched.wait("A"), watched.wait("A")]
    await settle()
    assert watched.looks == {"A": 3 * WAITS}
    assert watched.asked == [["A"]]
    for task in (waiting, *others):
        task.cancel()


async def refreshed(watched: Watched) -> None:
    """Makes a refresh due, and waits until what it wakes has looked."""
    before = len(watched.asked)
    watched.listener._is_due.set()
    await until(lambda: len(watched.asked) > before)
    await settle()


async def test_a_refresh_reads_what_is_watched_and_nothing_else(watched: Watched) -> None:
    first, second, other = watched.wait("A"), watched.wait("A"), watched.wait("B")
    async with watched.doing("refresh"):
        for task, ids in [(first, ["A", "B"]), (second, ["A", "B"]), (other, ["B"])]:
            await settle()
            await refreshed(watched)
            assert watched.asked[-1] == ids
            task.cancel()
        await settle()
        await refreshed(watched)
        assert watched.asked[-1] == []


async def test_a_refresh_wakes_no_new_watch_and_each_that_changed_once(watched: Watched) -> None:
    waiting = [watched.wait("A"), watched.wait("B")]
    await settle()
    woken: list[tuple[Versions, dict[str, int]]] = [
        ({"A": 1, "B": 1}, {"A": 0, "B": 0}),
        ({"A": 2, "B": 1}, {"A": 1, "B": 0}),
        ({"A": 2, "B": 1}, {"A": 1, "B": 0}),
        ({"A": 2, "B": [1]}, {"A": 1, "B": 1}),
        ({}, {"A": 1, "B": 1}),  # the tables cannot tell now
        ({"A": 3, "B": [1]}, {"A": 2, "B": 1}),
    ]
    async with watched.doing("refresh"):
        for tables, changes in woken:
            watched.tables = tables
            await refreshed(watched)
            assert watched.looks == {id: WAITS + changes[id] for id in ("A", "B")}  # noqa: A001
    for task in waiting:
        task.cancel()


@pytest.mark.parametrize("failure", [Unavailable("away"), RuntimeError("can't start new thread")])
async def test_whatever_a_refresh_raises_the_next_one_wakes(
    watched: Watched, failure: Exception
) -> None:
    waiting = watched.wait("A")
    await settle()
    async with watched.doing("refresh"):
        watched.failures = [failure]
        await refreshed(watched)
        watched.tables["A"] = 2
        await refreshed(watched)
        assert watched.looks["A"] == WAITS + 1
    waiting.cancel()
    unexpected = int(isinstance(failure, RuntimeError))
    assert watched.counts.added["background_failures_total", "refresh"] == unexpected


async def test_what_no_notification_told_is_read_every_few_seconds(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "REFRESH_SECONDS", 0.001)
    waiting = watched.wait("A", lambda looks: looks == WAITS + 1)
    await settle()
    async with watched.doing("refresh"):
        watched.tables["A"] = 2
        assert await waiting == WAITS + 1


def notify(backend: Backend, payload: str) -> None:
    backend.query("select pg_notify('changes', %s)", payload)


async def test_a_notification_wakes_those_it_names(watched: Watched, backend: Backend) -> None:
    async with watched.doing("listen"):
        await until(watched.listener._is_due.is_set)
        waiting = [watched.wait("A"), watched.wait("B")]
        await settle()
        notify(backend, "C A")
        await until(lambda: watched.looks["A"] == WAITS + 1)
        notify(backend, "B")
        await until(lambda: watched.looks["B"] == WAITS + 1)
        await settle()
        assert watched.looks == {"A": WAITS + 1, "B": WAITS + 1}
        for task in waiting:
            task.cancel()


async def test_after_a_lost_connection_it_reads_what_it_has_missed_and_hears_again(
    watched: Watched, backend: Backend, connecting: list[Callable[[], object]]
) -> None:
    async with watched.doing("listen", "refresh"):
        await until(lambda: watched.asked)
        waiting = watched.wait("A")
        await settle()
        connecting += [refuse, refuse]
        backend.end(watched.opened[0].info.backend_pid)
        watched.tables["A"] = 2
        await until(lambda: watched.looks["A"] == WAITS + 1)
        assert (connecting, len(watched.opened)) == ([], 2)
        assert watched.opened[0].closed
        notify(backend, "A")
        await until(lambda: watched.looks["A"] == WAITS + 2)
        waiting.cancel()
    assert watched.counts.added["background_failures_total", "listen"] == 0


def failing() -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("failure", [refuse_in_latin_1, failing])
async def test_whatever_a_connect_raises_it_listens_once_that_is_over(
    watched: Watched,
    backend: Backend,
    connecting: list[Callable[[], object]],
    caplog: pytest.LogCaptureFixture,
    failure: Callable[[], object],
) -> None:
    connecting += [failure] * 3
    async with watched.doing("listen"):
        await until(watched.listener._is_due.is_set)
        waiting = watched.wait("A", lambda looks: looks == WAITS + 1)
        await settle()
        notify(backend, "A")
        assert await waiting == WAITS + 1
    assert watched.counts.added["background_failures_total", "listen"] == 3
    assert [record.message for record in caplog.records] == ["failed, and is tried again: listen"]


async def test_whatever_a_notification_raises_it_listens_anew(
    watched: Watched, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watched.doing("listen"):
        await until(watched.listener._is_due.is_set)
        waiting = watched.wait("A")
        await settle()
        with monkeypatch.context() as wrong:
            wrong.setattr(listening.Watch, "wake", lambda _: failing())
            notify(backend, "A")
            await until(lambda: len(watched.opened) == 2)
        assert watched.counts.added["background_failures_total", "listen"] == 1
        waiting.cancel()


async def test_a_host_that_vanishes_before_listen_is_answered_is_left_and_tried_again(
    watched: Watched, proxy: Proxy, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "CONNECT_TIMEOUT_SECONDS", 0.3)
    connect = watched.listener._connect

    async def vanishing() -> Any:
        opened = await connect()
        if len(watched.opened) == 1:
            proxy.vanish()
        else:
            assert watched.opened[0].closed
            proxy.come_back()
        return opened

    watched._dsn = proxy.dsn
    watched.listener._connect = vanishing
    async with watched.doing("listen"):
        await until(lambda: watched.opened)
        await until(lambda: watched.opened[0].closed)
        proxy.come_back()
        await until(watched.listener._is_due.is_set)
        waiting = watched.wait("A", lambda looks: looks == WAITS + 1)
        await settle()
        notify(backend, "A")
        assert await waiting == WAITS + 1
