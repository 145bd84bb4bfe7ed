"""Asks the database for many at once: one round trip, one transaction, one wait for the disk.

What is asked for while a statement is under way becomes a batch, the next statement. It runs on a
connection of its own, where statements are prepared.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import closing, suppress
from copy import copy
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import DuplicatePreparedStatement, FeatureNotSupported, LockNotAvailable
from psycopg2.extensions import connection

from postgres.background import Metrics, Tasks
from postgres.connections import Row, Values, execute, hung_up
from postgres.errors import (
    ChangeRefused,
    CheckTooLong,
    OutcomeUnknown,
    Unavailable,
    ValueRefused,
)
from postgres.pool import Pool

MOST = 100  # requests in a batch
MOST_BATCHES = 200  # that wait; what comes then goes through the pool
LARGE = 16 * 1024  # characters of a request's values that are too many for a batch
TURNS = 3  # of the event loop, in which clients that were just answered ask for the next

# How the time that a request has (DATABASE_TIMEOUT_SECONDS) is spent, as parts of it.
QUEUED = 0.25  # until a batch is sent; then it goes through the pool
HALVED = 0.5  # until a part of a batch that was refused is sent; then likewise
STATEMENT = 0.2  # PostgreSQL's statement_timeout for a batch
LOCK = 0.02  # PostgreSQL's lock_timeout for a batch
READ = 0.5  # until the answer of a read, which may be asked for again
# What goes through the pool at last has time left there:  QUEUED + STATEMENT < READ < 1
#                                                          HALVED + STATEMENT < 1
# One locked row of many is found, in halves, before that, and before the next batches are passed
# on: QUEUED + (2 + log2(MOST)) * LOCK < HALVED, (2 + log2(MOST)) * LOCK < QUEUED

# What one of a batch may have caused: the others are asked for without it.
_CAUSED_BY_ONE = (
    psycopg2.IntegrityError,
    psycopg2.DataError,
    LockNotAvailable,
    ChangeRefused,
    CheckTooLong,
    ValueRefused,
    ValueError,
)


# What history is told beside the values of the statement, and what it takes to be meant otherwise.
_RECORDED = {"actor": "anonymous", "note": ""}


class Statement(NamedTuple):
    """What the requests of a batch have in common: the statement, who asks, and why."""

    sql: str
    confined_to: str | None = None
    actor: str = "anonymous"
    note: str = ""

    def recorded(self, sql: str) -> str:
        """`sql` with its actor and its note told to history, in one message and so in one
        transaction. A read has none."""
        told = [name for name, usual in _RECORDED.items() if getattr(self, name) != usual]
        if not told:
            return sql
        calls = (f"set_config('config_service.{name}', %({name})s, true)" for name in told)
        return f"select {', '.join(calls)};{sql}"

    @property
    def caller(self) -> dict[str, Any]:
        """Who asks, and why, as values of the statement."""
        return {"confined_to": self.confined_to, "actor": self.actor, "note": self.note}

    def in_lists(self, asked: list[Values]) -> dict[str, Any]:
        """The values of several, for each name a list, and who asks."""
        return {name: [values[name] for values in asked] for name in asked[0]} | self.caller


class _Batch:
    """What one statement asks for: by their `id` the values, and who waits for the answer."""

    overdue: asyncio.TimerHandle

    def __init__(self, statement: Statement, began: float) -> None:
        self.statement, self.began = statement, began
        self.asked = dict[str, tuple[Values, list[asyncio.Future[Row | None]]]]()

    def takes(self, statement: Statement, values: Values, *, writes: bool) -> bool:
        """Whether it may ask for this too: each id once, and each write by itself."""
        if self.statement != statement or len(self.asked) == MOST:
            return False
        asked = self.asked.get(values["id"])
        return asked is None or (not writes and asked[0] == values)

    def add(self, values: Values) -> asyncio.Future[Row | None]:
        """The answer to come."""
        answer = asyncio.get_running_loop().create_future()
        self.asked.setdefault(values["id"], (values, []))[1].append(answer)
        return answer

    def parts(self, number: int = 2) -> list["_Batch"]:
        """The same in so many."""
        parts = [_Batch(self.statement, self.began) for _ in range(number)]
        for n, (id, asked) in enumerate(self.asked.items()):  # noqa: A001
            parts[(n * number + number - 1) // len(self.asked)].asked[id] = asked
        return parts

    def lists(self) -> dict[str, Any]:
        """The values of the statement."""
        return self.statement.in_lists([values for values, _ in self.asked.values()])

    def answer(self, rows: list[Row]) -> None:
        """Gives each row to those who wait for its `id`, and None where there is no row."""
        found = {row["id"]: row for row in rows}
        for id, answer in self._unanswered():  # noqa: A001
            answer.set_result(found.get(id))

    def fail(self, error: Exception) -> None:
        """Raises the error where the answers are waited for."""
        for _, answer in self._unanswered():
            # An exception keeps the places that it passed: none is raised twice.
            answer.set_exception(copy(error) if isinstance(error, Unavailable) else error)

    def _unanswered(self) -> Iterator[tuple[str, asyncio.Future[Row | None]]]:
        for id, (_, answers) in self.asked.items():  # noqa: A001
            yield from ((id, answer) for answer in answers if not answer.done())  # some gave up


class Batcher:
    """One connection, which `connect` opens, and the batches that wait for it.

    What cannot be asked by it is asked through the `pool`.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[connection]],
        pool: Pool,
        metrics: Metrics,
        *,
        writes: bool,
    ) -> None:
        self._connect, self._pool, self._metrics, self._writes = connect, pool, metrics, writes
        self._alone = pool.write if writes else pool.read
        self._patience = 1 if writes else READ
        self._batches = deque[_Batch]()
        self._filled = asyncio.Event()
        self._is_connected = False
        self._passed_on = Tasks()

    async def ask(self, statement: Statement, values: Values) -> Row | None:
        """The row whose `id` is that of `values`; raises what `errors` says, or psycopg2's error.

        In the statement each name of `values` stands for a list.
        """
        loop = asyncio.get_running_loop()
        length = sum(len(value) for value in values.values() if isinstance(value, str))
        if not self._is_connected or length > LARGE or len(self._batches) >= MOST_BATCHES:
            sql = statement.recorded(statement.sql)
            rows = await self._alone(sql, statement.in_lists([values]))
            return rows[0] if rows else None
        for batch in self._batches:
            if batch.takes(statement, values, writes=self._writes):
                break
        else:
            batch = _Batch(statement, loop.time())
            overdue_at = batch.began + self._pool.seconds * QUEUED
            batch.overdue = loop.call_at(overdue_at, self._pass_on, batch)
            self._batches.append(batch)
            self._filled.set()
        return await batch.add(values)

    async def run(self) -> None:
        """Connects and asks, until the connection is lost or the server no longer the primary."""
        drops = self._pool.drops
        with closing(await self._connect()) as opened:
            prepared = dict[str, str]()
            self._is_connected = True
            try:
                while True:
                    if not self._batches:
                        self._filled.clear()
                        await self._filled.wait()
                    # Clients that were just answered ask for the next: that comes along.
                    for _ in range(TURNS):
                        await asyncio.sleep(0)
                    if hung_up(opened) or self._pool.drops != drops:
                        return
                    if self._batches:
                        batch = self._batches.popleft()
                        batch.overdue.cancel()
                        await self._ask(batch, opened, prepared)
            finally:
                self._is_connected = False
                while self._batches:
                    self._pass_on(self._batches[0])

    async def _ask(self, batch: _Batch, opened: connection, prepared: dict[str, str]) -> None:
        """Asks for the batch, and where one of it is refused, for its halves."""
        parts, loop = [batch], asyncio.get_running_loop()
        send_until = batch.began + self._pool.seconds * HALVED
        try:
            while parts and loop.time() < send_until and not hung_up(opened):
                parts += await self._send(parts.pop(), opened, prepared)
        finally:
            for part in parts:
                self._pass_on(part)

    async def _send(
        self, batch: _Batch, opened: connection, prepared: dict[str, str]
    ) -> Iterable[_Batch]:
        """What is to be sent instead, if any; raises what ended the connection."""
        is_sent = False
        self._metrics.observe("database_batch_size", len(batch.asked))
        try:
            async with asyncio.timeout_at(batch.began + self._pool.seconds * self._patience):
                sql = await self._prepare(batch, opened, prepared)
                is_sent = True
                batch.answer(await execute(opened, self._metrics, sql, batch.lists()))
        except (psycopg2.Error, ValueError) as error:  # the connection is in order
            if isinstance(error, _CAUSED_BY_ONE) and len(batch.asked) > 1:
                return reversed(batch.parts())
            # It may have been prepared on a server that a pooler has taken away since.
            prepared.pop(batch.statement.sql, None)
            self._pass_on(batch)
            if isinstance(error, FeatureNotSupported):
                # A migration changed what the statement gives: only a new connection forgets it.
                raise
        except BaseException as error:
            if self._writes and is_sent:
                batch.fail(OutcomeUnknown())
            elif isinstance(error, asyncio.CancelledError):
                batch.fail(Unavailable("The service is stopping."))
            else:
                self._pass_on(batch)
            raise
        return ()

    async def _prepare(self, batch: _Batch, opened: connection, prepared: dict[str, str]) -> str:
        """The statement that executes what PostgreSQL plans once; now, if it is not prepared."""
        statement = batch.statement
        if statement.sql not in prepared:
            ordered = sorted(batch.lists().keys() - {*_RECORDED})
            numbered = statement.sql % {name: f"${n}" for n, name in enumerate(ordered, 1)}
            # By its text: behind a pooler, another version may prepare on the same connection.
            name = f"batch_{sha256(numbered.encode()).hexdigest()[:16]}"
            with suppress(DuplicatePreparedStatement):  # by another client of the pooler
                await execute(opened, self._metrics, f"prepare {name} as {numbered}")
            given = ", ".join(f"%({one})s" for one in ordered)
            prepared[statement.sql] = f"execute {name} ({given})"
        return statement.recorded(prepared[statement.sql])

    def _pass_on(self, batch: _Batch) -> None:
        """Asks for the batch through the pool, while the connection serves the next."""
        if batch in self._batches:
            self._batches.remove(batch)
            batch.overdue.cancel()
        self._metrics.add("database_batch_fallbacks_total", amount=len(batch.asked))
        self._passed_on.start(self._ask_alone(batch))

    async def _ask_alone(self, batch: _Batch) -> None:
        """Asks for the whole batch by one statement of the pool, so that a slow PostgreSQL gets no
        more to do; in halves where one of it was refused."""
        sql = batch.statement.recorded(batch.statement.sql)
        spent = asyncio.get_running_loop().time() - batch.began
        try:
            batch.answer(await self._alone(sql, batch.lists(), spent))
        except _CAUSED_BY_ONE as error:
            if len(batch.asked) == 1:
                batch.fail(error)
            else:
                # What takes long is asked for once more, and not in each half that it is in.
                is_long = isinstance(error, CheckTooLong)
                for part in batch.parts(len(batch.asked) if is_long else 2):
                    await self._ask_alone(part)
        except Exception as error:
            batch.fail(error)
