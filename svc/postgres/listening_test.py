import asyncio
import random
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from types import SimpleNamespace

import psycopg2
import pytest

from postgres import listening
from postgres.listening import Listener, Versions


def run[T](scenario: Coroutine[object, object, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(10):
            return await scenario

    return asyncio.run(bounded())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what it waits for is not its own
        await asyncio.sleep(0.001)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def never(_: object) -> bool:
    return False


class Watched:
    """Tables with a version for each id, and watchers that count how often they look."""

    def __init__(self) -> None:
        self.tables: Versions = {"A": 1, "B": 1}
        self.asked: list[list[str]] = []
        self.looks = Counter[str]()
        self.listener = Listener("dsn", self._versions)

    async def _versions(self, ids: list[str]) -> Versions:
        self.asked.append(ids)
        return {watched: self.tables[watched] for watched in ids}

    def look(self, id: str) -> Callable[[], Awaitable[int]]:
        async def look() -> int:
            self.looks[id] += 1
            return self.looks[id]

        return look

    def wait(
        self, id: str, done: Callable[[int], bool] = never, seconds: float = 60
    ) -> asyncio.Task[int]:
        return asyncio.create_task(self.listener.wait(id, self.look(id), done, seconds))

    def wake(self, id: str) -> None:
        with self.listener.watching(id) as watch:
            watch.wake()


def test_a_wait_ends_when_the_first_look_is_done() -> None:
    async def scenario() -> None:
        assert await Watched().wait("A", lambda looks: looks == 1) == 1

    run(scenario())


def test_it_looks_again_after_each_change_of_its_own_id_until_it_is_done() -> None:
    async def scenario() -> None:
        watched = Watched()
        waiting = watched.wait("A", lambda looks: looks == 3)
        other = watched.wait("B")
        for looks in (1, 2):
            await settle()
            assert watched.looks == {"A": looks, "B": 1}
            watched.wake("A")
        assert await waiting == 3
        other.cancel()

    run(scenario())


def test_a_change_while_it_looks_is_not_missed() -> None:
    async def scenario() -> None:
        watched = Watched()

        async def look() -> int:
            seen = await watched.look("A")()
            if seen == 1:
                watched.wake("A")
            return seen

        assert await watched.listener.wait("A", look, lambda looks: looks == 2, 60) == 2

    run(scenario())


def test_when_the_time_is_over_it_returns_what_it_saw() -> None:
    async def scenario() -> None:
        assert await Watched().wait("A", never, seconds=0) == 1

    run(scenario())


def test_whoever_gives_up_lets_the_others_wait() -> None:
    async def scenario() -> None:
        watched = Watched()
        waiting = watched.wait("A", lambda looks: looks == 4)
        await settle()
        cancelled = watched.wait("A")
        await settle()
        cancelled.cancel()
        assert await watched.wait("A", never, seconds=0) == 3
        assert not waiting.done()
        watched.wake("A")
        assert await waiting == 4

    run(scenario())


def test_when_waiting_stops_all_end_with_what_they_see_and_nobody_waits_any_more() -> None:
    async def scenario() -> None:
        watched = Watched()
        waiting = [watched.wait("A"), watched.wait("B")]
        await settle()
        watched.listener.stop_waiting()
        assert await asyncio.gather(*waiting) == [2, 2]
        assert await watched.wait("A") == 3

    run(scenario())


def test_a_failure_to_look_is_the_waiter_s() -> None:
    async def scenario() -> None:
        watched = Watched()

        async def look() -> int:
            raise LookupError("gone")

        with pytest.raises(LookupError, match="gone"):
            await watched.listener.wait("A", look, never, 60)
        assert watched.listener.watchers == 0

    run(scenario())


def test_watchers_are_counted_and_what_nobody_watches_is_not_asked_for() -> None:
    async def scenario() -> None:
        watched = Watched()
        first, second, other = watched.wait("A"), watched.wait("A"), watched.wait("B")
        left = [3, 2, 1, 0]
        for task, ids in [(first, ["A", "B"]), (second, ["A", "B"]), (other, ["B"])]:
            await settle()
            assert watched.listener.watchers == left.pop(0)
            await watched.listener._refresh()
            assert watched.asked[-1] == ids
            task.cancel()
        await settle()
        assert watched.listener.watchers == left.pop(0)
        await watched.listener._refresh()
        assert watched.asked[-1] == []

    run(scenario())


def test_a_refresh_wakes_each_new_watch_once_and_then_only_what_changed() -> None:
    async def scenario() -> None:
        watched = Watched()
        waiting = [watched.wait("A"), watched.wait("B")]
        await settle()
        steps: list[tuple[Versions, dict[str, int]]] = [
            ({"A": 1, "B": None}, {"A": 2, "B": 2}),
            ({"A": 1, "B": None}, {"A": 2, "B": 2}),
            ({"A": 2, "B": None}, {"A": 3, "B": 2}),
            ({"A": 2, "B": [1]}, {"A": 3, "B": 3}),
        ]
        for tables, looks in steps:
            watched.tables = tables
            await watched.listener._refresh()
            await settle()
            assert watched.looks == looks
        for task in waiting:
            task.cancel()

    run(scenario())


def test_what_the_tables_cannot_tell_now_wakes_nobody() -> None:
    async def scenario() -> None:
        async def unknown(_: list[str]) -> Versions:
            return {}

        watched = Watched()
        watched.listener = Listener("dsn", unknown)
        waiting = watched.wait("A")
        await settle()
        await watched.listener._refresh()
        await settle()
        assert watched.looks == {"A": 1}
        waiting.cancel()

    run(scenario())


class Connection:
    """In the place of psycopg2's: hears what is sent to `server`, and is lost when that closes."""

    def __init__(self) -> None:
        self.server, self._client = socket.socketpair()
        self.notifies: list[SimpleNamespace] = []
        self.executed: list[str] = []
        self.autocommit = False

    def cursor(self) -> AbstractContextManager[SimpleNamespace]:
        return nullcontext(SimpleNamespace(execute=self.executed.append))

    def fileno(self) -> int:
        return self._client.fileno()

    def poll(self) -> None:
        received = self._client.recv(1024).decode()
        if not received:
            raise psycopg2.OperationalError("lost")
        self.notifies.append(SimpleNamespace(payload=received))

    def close(self) -> None:
        self._client.close()


class Server:
    """In the place of PostgreSQL: each connection that is made, after as many that are refused."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.refuses = 0

    def connect(self, dsn: str, **_: object) -> Connection:
        assert dsn == "dsn"
        if self.refuses:
            self.refuses -= 1
            raise psycopg2.OperationalError("refused")
        self.connections.append(Connection())
        return self.connections[-1]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(psycopg2, "connect", server.connect)
    monkeypatch.setattr(random, "uniform", lambda *_: 0)
    monkeypatch.setattr(listening, "REFRESH_SECONDS", 3600)
    return server


def while_listening(server: Server, scenario: Callable[[Watched], Awaitable[None]]) -> None:
    """Runs a scenario while the listener runs, and cancels that at the end."""

    async def both() -> None:
        watched = Watched()
        task = asyncio.create_task(watched.listener.run())
        await scenario(watched)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    run(both())
    for connection in server.connections:
        connection.server.close()
        assert connection.fileno() == -1


def test_a_notification_wakes_those_whom_it_names(server: Server) -> None:
    async def scenario(watched: Watched) -> None:
        await until(lambda: watched.asked)
        waiting = [watched.wait("A"), watched.wait("B")]
        await settle()
        [connection] = server.connections
        assert (connection.autocommit, connection.executed) == (True, ["listen changes"])
        connection.server.send(b"C A")
        await until(lambda: watched.looks["A"] == 2)
        connection.server.send(b"B")
        await until(lambda: watched.looks["B"] == 2)
        await settle()
        assert watched.looks == {"A": 2, "B": 2}
        for task in waiting:
            task.cancel()

    while_listening(server, scenario)


def test_after_a_lost_connection_it_reads_what_it_has_missed_and_hears_again(
    server: Server,
) -> None:
    async def scenario(watched: Watched) -> None:
        await until(lambda: watched.asked)
        waiting = watched.wait("A")
        await settle()
        server.refuses = 2
        server.connections[0].server.close()
        await until(lambda: watched.looks["A"] == 2)
        assert (server.refuses, len(server.connections)) == (0, 2)
        server.connections[1].server.send(b"A")
        await until(lambda: watched.looks["A"] == 3)
        waiting.cancel()

    while_listening(server, scenario)


def test_what_no_notification_told_is_read_every_few_seconds(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "REFRESH_SECONDS", 0)
    server.refuses = 1_000_000

    async def scenario(watched: Watched) -> None:
        waiting = watched.wait("A", lambda looks: looks == 3)
        await until(lambda: watched.looks["A"] == 2)
        watched.tables["A"] = 2
        assert await waiting == 3

    while_listening(server, scenario)
