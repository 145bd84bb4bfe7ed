"""A pool of connections on the event loop, and the bounded queue in front of it.

A statement is a task of its own, under autocommit: one round trip, and nothing of it depends on the
request that asked for it living on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from math import inf
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import connection

from config import Settings
from postgres.background import Metrics, Tasks
from postgres.connections import (
    Row,
    Values,
    count_error,
    execute,
    execute_undone,
    hung_up,
    in_order,
)
from postgres.errors import (
    READ_ONLY,
    Lost,
    OutcomeUnknown,
    Overloaded,
    Retriable,
    Unavailable,
    Unmigrated,
    meaning,
)

# Of the time that a request has (DATABASE_TIMEOUT_SECONDS), as parts of it:
SPENT = 0.05  # with no more spent before, the time-outs of the connection will do
LEFT = 0.1  # what PostgreSQL's last word needs to arrive; with less, nothing is sent
ALONE = 1 - LEFT  # the time-outs of the connection: PostgreSQL gives up first, its word is certain

LATE = "The database did not answer in time."
STOPPING = "The service is stopping."

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


def _now() -> float:
    return asyncio.get_running_loop().time()


class _Statement(NamedTuple):
    """What is asked, and until when by the clock of the event loop."""

    sql: str
    values: Values
    give_up_at: float
    writes: bool = False
    undone: bool = False
    key: object = None


class _Line:
    """Lets so many in at the same time. The others wait, first come, first served."""

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._waiting = 0
        self._refusal, self._refused_until = "", -inf

    @asynccontextmanager
    async def place(self, most: float = inf, *, optional: bool = False) -> AsyncIterator[None]:
        """Lets in for the time of the block. Where `most` wait already, it raises Overloaded, or
        does without a place that is `optional`."""
        came_at = _now()
        if self._places.locked() and self._waiting >= most:
            if not optional:
                raise Overloaded("The service is full.")
            yield
            return
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            if came_at <= self._refused_until:
                raise Unavailable(self._refusal)
            yield
        finally:
            self._places.release()

    def refuse(self, why: str, until: float, *, at_once: bool = False) -> None:
        """Refuses those who came until then, when it is their turn or `at_once`."""
        self._refusal, self._refused_until = why, max(until, self._refused_until)
        if at_once:
            self._places.release()  # the first is refused, and so makes way for the next


class Pool:
    """At most `database_pool_size` connections, which `connect` opens, and a bounded queue.

    A connection is opened when it is first needed, so that the service starts while PostgreSQL is
    down, and is then kept. `obstacle` says why the database is not ready, if it is not; it may
    block. `drops` counts how often the server turned out to be a standby.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[connection]],
        settings: Settings,
        obstacle: Callable[[], str | None],
        metrics: Metrics,
    ) -> None:
        self._connect, self._obstacle, self._metrics = connect, obstacle, metrics
        self._queue_size, size = settings.database_queue_size, settings.database_pool_size
        self.seconds, self.drops = settings.database_timeout_seconds, 0
        metrics.add("database_pool_size", amount=size)
        self._connections = _Line(size)
        # Fewer turns than connections: others are served between those that wait for a turn.
        self._turns = _Line(max(1, size // 2))
        self._idle = list[connection]()
        self._left_opening = set[asyncio.Task[None]]()
        self._queued_reads = dict[object, asyncio.Task[list[Row]]]()
        self._tasks = Tasks()

    async def read(
        self, sql: str, values: Values, spent: float = 0, *, in_turn: bool = False
    ) -> list[Row]:
        """The rows of a statement that may be repeated; `spent` seconds of its time have passed.

        With `in_turn` it waits for its turn, unless as many do as the queue holds: few are read at
        a time, because large answers would hold up the event loop. That of a patient request does
        always, and its time begins only then. Raises what `errors` says, or psycopg2's own error.
        """
        key = (sql, repr(values), in_turn, patient.get())
        reading = self._queued_reads.get(key)
        if reading is None:
            statement = _Statement(sql, values, _now() + self.seconds - spent, key=key)
            if patient.get():
                serving = self._patiently(statement)
            else:
                turn = self._turns.place(self._queue_size, optional=True) if in_turn else None
                serving = self._serve(statement, self._connections.place(self._queue_size), turn)
            reading = self._queued_reads[key] = self._tasks.start(serving)
            reading.add_done_callback(partial(self._dequeue, key))
        # Whoever joins a read that has not begun sees what a read of its own would see.
        return await asyncio.shield(reading)

    async def write(
        self,
        sql: str,
        values: Values,
        spent: float = 0,
        *,
        timeouts: int = 1,
        undone: bool = False,
    ) -> list[Row]:
        """The rows of a statement that changes something; committed once this returns, or `undone`
        again. It may take `timeouts` times as long as others.

        Raises what `errors` says, or psycopg2's own error.
        """
        give_up_at = _now() + timeouts * self.seconds - spent
        statement = _Statement(sql, values, give_up_at, writes=not undone, undone=undone)
        serving = self._serve(statement, self._connections.place(self._queue_size))
        return await asyncio.shield(self._tasks.start(serving))

    def stop_waiting(self) -> None:
        """Refuses those that wait for a turn, because the service stops."""
        self._turns.refuse(STOPPING, until=_now(), at_once=True)

    async def close(self) -> None:
        """Lets what is running end, refuses what waits, then closes the connections."""
        self.stop_waiting()
        self._connections.refuse(STOPPING, until=inf, at_once=True)
        await self._tasks.ended()
        self._drop_idle()

    async def _patiently(self, statement: _Statement) -> list[Row]:
        async with self._turns.place():
            begun = statement._replace(give_up_at=_now() + self.seconds)
            try:
                return await self._serve(begun, self._connections.place())
            except Unavailable as error:
                # Where the database is away, each turn takes all its time: nobody waits for many.
                self._turns.refuse(str(error), until=_now() - self.seconds)
                raise

    async def _serve(
        self,
        statement: _Statement,
        place: AbstractAsyncContextManager[None],
        turn: AbstractAsyncContextManager[None] | None = None,
    ) -> list[Row]:
        """The rows, in time."""
        try:
            async with asyncio.timeout_at(statement.give_up_at), turn or nullcontext(), place:
                self._dequeue(statement.key, asyncio.current_task())
                try:
                    return await self._attempt(statement)
                except Retriable:
                    return await self._attempt(statement)
        except Retriable as again:
            raise Unavailable("The database is out of reach.") from again.__cause__
        except TimeoutError:
            raise Unavailable(LATE) from None

    def _dequeue(self, key: object, reading: asyncio.Task[Any] | None) -> None:
        """From now on nobody joins it."""
        if self._queued_reads.get(key) is reading:
            del self._queued_reads[key]

    async def _attempt(self, statement: _Statement) -> list[Row]:
        taken = await self._take()
        try:
            sql = self._in_time(statement)
            ask = execute_undone if statement.undone else execute
            return await ask(taken, self._metrics, sql, statement.values)
        except (Lost, asyncio.CancelledError) as error:  # by the server, or at the deadline
            if statement.writes:
                raise OutcomeUnknown from error
            raise
        except psycopg2.Error as error:
            count_error(self._metrics, error.pgcode)
            if error.pgcode == READ_ONLY:
                taken.close()
                self._drop_idle()
                self.drops += 1
            told = meaning(error)
            if isinstance(told, Unmigrated) and not await asyncio.to_thread(self._obstacle):
                told = error  # it is the statement that is wrong
            raise told from error
        finally:
            if in_order(taken):
                self._idle.append(taken)
            else:
                taken.close()

    def _in_time(self, statement: _Statement) -> str:
        """The statement, with less time at PostgreSQL where some was spent before: it has to give
        up before the deadline, because only its word is certain."""
        left, whole = statement.give_up_at - _now(), self.seconds
        if left < LEFT * whole:
            raise Unavailable(LATE)
        if (1 - SPENT) * whole < left <= whole:
            return statement.sql
        milliseconds = max(1, int(1000 * max(left - LEFT * whole, left / 2)))
        lock_milliseconds = min(milliseconds, int(1000 * ALONE * whole))  # never longer than usual
        # In one message; each of its statements has a time-out of its own.
        return (
            f"select set_config('statement_timeout', '{milliseconds}', true),"
            f" set_config('lock_timeout', '{lock_milliseconds}', true);{statement.sql}"
        )

    async def _take(self) -> connection:
        """A connection whose server has not hung up; raises Retriable where none opens."""
        while True:
            while self._idle:
                idle = self._idle.pop()
                if not hung_up(idle):
                    return idle
                idle.close()
            # One whose statement gave up is taken over: there are no more than there are places.
            opening = self._left_opening.pop() if self._left_opening else None
            opening = opening or self._tasks.start(self._open())
            try:
                await asyncio.shield(opening)
            except asyncio.CancelledError:
                # It goes on: where a host is silent, it may take longer than a statement has.
                self._left_opening.add(opening)
                opening.add_done_callback(self._left_opening.discard)
                raise
            except Exception as error:  # refused in any language, silent, or without a thread
                count_error(self._metrics, "08001")
                raise Retriable from error

    async def _open(self) -> None:
        self._idle.append(await self._connect())

    def _drop_idle(self) -> None:
        """Closes every idle connection, so that the next ones are opened anew."""
        while self._idle:
            self._idle.pop().close()
