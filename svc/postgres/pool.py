"""A pool of connections with a thread for each, and the bounded queue in front of them.

A statement runs whole in one worker thread, under autocommit: one round trip, and nothing of it
depends on the request that asked for it living on.
"""

import asyncio
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection
from psycopg2.extras import RealDictCursor
from psycopg2.pool import ThreadedConnectionPool

from postgres.background import Metrics
from postgres.batching import Row, Values
from postgres.connections import hung_up
from postgres.errors import (
    READ_ONLY,
    OutcomeUnknown,
    Overloaded,
    Retriable,
    Unavailable,
    Undefined,
    is_lost,
    meaning,
)

# Of the time that a request has (DATABASE_TIMEOUT_SECONDS), as parts of it:
SPENT = 0.05  # the most for which the time-outs of the connection still do
LEFT = 0.1  # what PostgreSQL's last word needs to arrive; with less, nothing is sent
ALONE = 1 - LEFT  # the time-outs of the connection: PostgreSQL gives up first, its word is certain

patient = ContextVar("patient", default=False)


@contextmanager
def patience() -> Iterator[None]:
    """The reads of this request wait for their turn, however many do, instead of being refused
    where the queue is full."""
    before = patient.set(True)
    try:
        yield
    finally:
        # The next request of the connection may begin in this one's context.
        patient.reset(before)


class Connections(ThreadedConnectionPool):
    """Opens a connection when it is first needed, so that the service starts while PostgreSQL is
    down, and keeps each from then on."""

    _pool: list[connection]
    _lock: threading.Lock
    _getconn: Callable[[], connection]  # takes an idle one, where there is one

    def __init__(self, size: int, dsn: str, **options: Any) -> None:
        super().__init__(0, size, dsn, **options)
        self._open = partial(psycopg2.connect, dsn, **options)
        self.minconn = size
        self.drops = 0

    def take(self) -> connection:
        """A connection whose server has not hung up; raises OperationalError where none opens."""
        while idle := self._take_idle():
            if not hung_up(idle):
                return idle
            self.putconn(idle, close=True)
        # Not by `getconn`, which would hold the lock meanwhile: this may take seconds.
        opened = self._open()
        opened.autocommit = True
        if hung_up(opened):
            opened.close()
            raise psycopg2.OperationalError("a new connection is closed at once")
        with self._lock:
            self._pool.append(opened)
            return self._getconn()

    def _take_idle(self) -> connection | None:
        with self._lock:
            return self._getconn() if self._pool else None

    def give_back(self, taken: connection) -> None:
        """Returns `taken`, or closes it where a failure left it in any state but idle."""
        idle = not taken.closed and taken.info.transaction_status == TRANSACTION_STATUS_IDLE
        self.putconn(taken, close=not idle)

    def drop_idle(self) -> None:
        """Closes every idle connection, so that the next ones are opened anew."""
        self.drops += 1
        with self._lock:
            idle, self._pool = self._pool, []
        for unused in idle:
            unused.close()


class _Statement:
    """One statement on its way through a worker thread."""

    def __init__(
        self, pool: "Pool", sql: str, values: Values, *, writes: bool, key: object = None
    ) -> None:
        self._pool, self._sql, self._values, self._writes = pool, sql, values, writes
        self.key = key
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[list[Row]] = self._loop.create_future()
        # Whoever waits for it may have gone when it fails.
        self.answer.add_done_callback(lambda answer: answer.exception())
        self.made_at = time.monotonic()
        self._lock = threading.Lock()
        self._running_on: connection | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_sent = self._is_abandoned = False

    def expect(self, seconds: float) -> None:
        """Lets it have an answer after `seconds` at the latest. The deadline is its own, whoever
        waits for it."""
        self._give_up_at = time.monotonic() + seconds
        self._deadline = self._loop.call_later(seconds, self.abandon)

    @property
    def is_expected(self) -> bool:
        """Whether it has a deadline already."""
        return self._deadline is not None

    def run(self) -> list[Row]:
        """The rows, in a worker thread; raises what `errors` says, or psycopg2's own error."""
        self._pool.begins(self)
        try:
            return self._attempt()
        except Retriable:
            try:
                return self._attempt()
            except Retriable as again:
                raise Unavailable("The database is out of reach.") from again.__cause__

    def settle(self, done: Future[list[Row]]) -> None:
        """Hands the outcome to whoever waits for it; on the event loop."""
        if self._deadline:
            self._deadline.cancel()
        if self.answer.done():
            return
        if done.cancelled():
            self.answer.set_exception(Unavailable("The service is stopping."))
        elif error := done.exception():
            self.answer.set_exception(error)
        else:
            self.answer.set_result(done.result())

    def refuse(self, error: Unavailable) -> None:
        """It will not be sent."""
        self._pool.begins(self)
        with self._lock:
            self._is_abandoned = True
        if self._deadline:
            self._deadline.cancel()
        if not self.answer.done():
            self.answer.set_exception(error)

    def abandon(self) -> None:
        """Gives up: frees the worker thread from a server that does not answer."""
        self._pool.begins(self)
        with self._lock:
            self._is_abandoned = True
            if self._running_on is not None:
                # The thread is blocked inside libpq; the end of its socket is what wakes it. Where
                # libpq has just found that socket broken, nothing has to be woken.
                with (
                    suppress(OSError, psycopg2.InterfaceError),
                    socket.socket(fileno=os.dup(self._running_on.fileno())) as end,
                ):
                    end.shutdown(socket.SHUT_RDWR)
            if not self.answer.done():
                self.answer.set_exception(self._lost())

    def _lost(self) -> Unavailable:
        if self._writes and self._is_sent:
            return OutcomeUnknown()
        return Unavailable("The database did not answer in time.")

    def _attempt(self) -> list[Row]:
        with self._lock:
            self._is_sent = False
        if self._is_abandoned:
            raise self._lost()
        try:
            taken = self._pool.connections.take()
        except (psycopg2.OperationalError, UnicodeDecodeError) as error:  # refused in any language
            self._pool.count_error("08001")
            raise Retriable from error
        try:
            return self._execute(taken)
        except psycopg2.Error as error:
            raise self._meaning(error, taken) from error
        finally:
            self._pool.connections.give_back(taken)

    def _execute(self, taken: connection) -> list[Row]:
        with self._lock:
            if self._is_abandoned or self._left() < LEFT * self._pool.seconds:
                raise self._lost()
            self._running_on, self._is_sent = taken, True
        self._pool.metrics.add("database_pool_in_use")
        try:
            with taken.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(self._in_time(), self._values)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            self._pool.metrics.add("database_pool_in_use", amount=-1)
            with self._lock:
                self._running_on = None

    def _left(self) -> float:
        return self._give_up_at - time.monotonic()

    def _in_time(self) -> str:
        """The statement, with less time at PostgreSQL where some was spent before: it has to give
        up before the deadline, because only its word is certain."""
        left, whole = self._left(), self._pool.seconds
        if (1 - SPENT) * whole < left <= whole:
            return self._sql
        milliseconds = max(1, int(1000 * max(left - LEFT * whole, left / 2)))
        lock_milliseconds = min(milliseconds, int(1000 * ALONE * whole))  # never longer than usual
        # In one message; each of its statements has a time-out of its own.
        return (
            f"select set_config('statement_timeout', '{milliseconds}', true),"
            f" set_config('lock_timeout', '{lock_milliseconds}', true);{self._sql}"
        )

    def _meaning(self, error: psycopg2.Error, taken: connection) -> Exception:
        self._pool.count_error(error.pgcode or "none")
        if error.pgcode == READ_ONLY:
            self._pool.connections.drop_idle()
            taken.close()
        elif taken.closed or is_lost(error):
            return self._lost() if self._writes else Retriable()
        told = meaning(error)
        if isinstance(told, Undefined):
            # A mistake in a statement shows as itself; a database that lacks a migration is away.
            told = Unavailable("The database is not migrated: a migration is pending.")
            with suppress(psycopg2.Error):
                told = error if self._pool.is_migrated(taken) else told
        return told


class Pool:
    """`size` worker threads with a connection each, and `queue_size` statements that may wait.

    A statement is answered within `seconds`. `is_migrated` tells, over a connection, whether the
    database has every migration.
    """

    def __init__(
        self,
        connections: Connections,
        queue_size: int,
        seconds: float,
        metrics: Metrics,
        is_migrated: Callable[[connection], bool],
    ) -> None:
        self.connections, self.seconds, self.metrics = connections, seconds, metrics
        self.is_migrated = is_migrated
        self._queue_size = queue_size
        metrics.add("database_pool_size", amount=connections.maxconn)
        self._workers = ThreadPoolExecutor(connections.maxconn, "database")
        self._room = threading.Semaphore(connections.maxconn + queue_size)
        self._queued_reads = dict[object, _Statement]()
        # Fewer turns than threads, so that others are served between those that wait for a turn.
        self._turns = max(1, connections.maxconn // 2)
        self._waiting_for_turn = deque[_Statement]()

    async def read(
        self, sql: str, values: Values, spent: float = 0, *, in_turn: bool = False
    ) -> list[Row]:
        """The rows of a statement that may be repeated; `spent` seconds of its time have passed.

        With `in_turn` it waits for its turn. That of a patient request does too, and its time
        begins only then. Raises what `errors` says, or psycopg2's own error.
        """
        key = (sql, repr(values), in_turn, patient.get())
        statement = self._queued_reads.get(key)
        if statement is None:
            statement = _Statement(self, sql, values, writes=False, key=key)
            # Before it is submitted: it may begin, and be taken out again, at once.
            self._queued_reads[key] = statement
            if patient.get():
                self._wait_for_turn(statement)
            elif in_turn and len(self._waiting_for_turn) < self._queue_size:
                statement.expect(self.seconds)
                self._wait_for_turn(statement)
            else:
                self._submit(statement, self.seconds - spent)
        # Whoever joins a read that has not begun sees what a read of its own would see.
        return await asyncio.shield(statement.answer)

    async def write(
        self, sql: str, values: Values, spent: float = 0, *, timeouts: int = 1
    ) -> list[Row]:
        """The rows of a statement that changes something; committed once this returns. It may
        take `timeouts` times as long as others.

        Raises what `errors` says, or psycopg2's own error.
        """
        statement = _Statement(self, sql, values, writes=True)
        self._submit(statement, timeouts * self.seconds - spent)
        return await asyncio.shield(statement.answer)

    def begins(self, statement: _Statement) -> None:
        """From now on nobody joins `statement`; from any thread."""
        if self._queued_reads.get(statement.key) is statement:
            # Not `del`: the deadline may take it out at the same time as the worker thread.
            self._queued_reads.pop(statement.key, None)

    def count_error(self, sqlstate: str) -> None:
        """Counts an error of PostgreSQL, or the failure to reach it."""
        self.metrics.add("database_errors_total", (("sqlstate", sqlstate),))

    def refuse_waiting(self, error: Unavailable, seconds: float = 0) -> None:
        """Answers those that have waited so long for a turn, because the service stops or the
        database does not answer."""
        latest = time.monotonic() - seconds
        while self._waiting_for_turn and self._waiting_for_turn[0].made_at <= latest:
            self._waiting_for_turn.popleft().refuse(error)

    async def close(self) -> None:
        """Lets what is running end, drops what is queued, then closes the connections."""
        # Not on the event loop, which the deadlines of what is running need.
        await asyncio.to_thread(self._workers.shutdown, wait=True, cancel_futures=True)
        self.connections.closeall()

    def _submit(self, statement: _Statement, seconds: float) -> None:
        """Queues the statement; where the queue is full, its answer is that."""
        if self._room.acquire(blocking=False):
            statement.expect(seconds)
            self._start(statement, lambda: None)
        else:
            statement.refuse(Overloaded("The service is full."))

    def _wait_for_turn(self, statement: _Statement) -> None:
        self._waiting_for_turn.append(statement)
        self._give_turns()

    def _give_turns(self) -> None:
        """Queues those that wait for a turn, as long as there are turns and room."""
        while self._waiting_for_turn and self._turns and self._room.acquire(blocking=False):
            self._turns -= 1
            statement = self._waiting_for_turn.popleft()
            had_to_wait = statement.is_expected
            if not had_to_wait:
                statement.expect(self.seconds)
            self._start(statement, partial(self._give_turn_back, statement, had_to_wait))

    def _give_turn_back(self, statement: _Statement, had_to_wait: bool) -> None:
        """Where the database is away, each turn takes all its time: nobody waits for many. What
        spent its time waiting for its turn tells nothing of the database."""
        self._turns += 1
        error = statement.answer.done() and statement.answer.exception()
        if isinstance(error, Unavailable) and not had_to_wait:
            self.refuse_waiting(error, self.seconds)

    def _start(self, statement: _Statement, afterwards: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def settle(done: Future[list[Row]]) -> None:
            self._room.release()
            loop.call_soon_threadsafe(settled, done)

        def settled(done: Future[list[Row]]) -> None:
            statement.settle(done)
            afterwards()
            self._give_turns()

        try:
            self._workers.submit(statement.run).add_done_callback(settle)
        except RuntimeError:  # no thread can be started
            self._room.release()
            statement.refuse(Unavailable("The service has no thread for this."))
            afterwards()
