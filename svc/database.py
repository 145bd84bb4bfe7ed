"""The one way to the database: a pool of connections, a thread for each, a bounded queue.

A slice calls `read` or `write` with one statement. It runs whole in one worker thread, under
autocommit: one round trip, and nothing of it depends on the request that asked for it living on.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection, parse_dsn
from psycopg2.extras import RealDictCursor
from psycopg2.pool import ThreadedConnectionPool

from config import Settings
from edge import metrics
from postgres.batching import (
    CONNECT_TIMEOUT_SECONDS,
    Gathering,
    NotAsked,
    Request,
    Unanswered,
    by_actor,
    hung_up,
    in_lists,
)
from postgres.listening import Listener, Versions

type Row = dict[str, Any]
type Values = Mapping[str, Any]

UNCONFIRMED = "The database did not confirm this change: whether it was made is unknown."
READ_ONLY = "25006"  # what was the primary is a standby now
RETRIED = {"40001", "40P01", READ_ONLY}
TOO_SLOW = {"57014", "55P03"}
UNSTORABLE = {"22P02", "22P05", "22001", "22003", "22021", "54000", "54001"}


class Caller(NamedTuple):
    """Who asks: the actor that history names, and the name or id of the application that the
    caller is confined to, if any."""

    actor: str = "anonymous"
    confined_to: str | None = None


class Unavailable(Exception):
    """The database cannot serve this now, and nothing was changed (503)."""


class Overloaded(Unavailable):
    """More is waiting for the database than the queue holds (503)."""


class OutcomeUnknown(Unavailable):
    """The connection was lost after a write was sent: it may have happened or not (503)."""


class Unstorable(Exception):
    """PostgreSQL cannot keep a value that was sent (400)."""


class _Pool(ThreadedConnectionPool):
    """Opens a connection when it is first needed, so that it can be made while PostgreSQL is down,
    and keeps each from then on."""

    _pool: list[connection]

    def __init__(self, size: int, dsn: str, **options: Any) -> None:
        super().__init__(0, size, dsn, **options)
        self.minconn = size
        self.drops = 0

    def _connect(self, key: Any = None) -> connection:
        opened: connection = super()._connect(key)  # type: ignore[misc]
        opened.autocommit = True
        return opened

    def take(self) -> connection:
        """A connection whose server has not hung up; raises OperationalError where none opens."""
        for _ in range(self.maxconn + 1):
            taken: connection = self.getconn()
            if not hung_up(taken):
                return taken
            self.putconn(taken, close=True)
        raise psycopg2.OperationalError("every new connection is closed at once")

    def drop_idle(self) -> None:
        """Closes every idle connection, so that the next ones are opened anew."""
        self.drops += 1
        with self._lock:  # type: ignore[attr-defined]
            idle, self._pool = self._pool, []
        for unused in idle:
            unused.close()

    def give_back(self, taken: connection) -> None:
        """Returns `taken`, or closes it where a failure left it in any state but idle."""
        idle = not taken.closed and taken.info.transaction_status == TRANSACTION_STATUS_IDLE
        self.putconn(taken, close=not idle)


class _Statement:
    """One statement on its way through a worker thread."""

    answer: asyncio.Future[list[Row]]
    deadline: asyncio.TimerHandle
    began: float  # by the clock of all threads
    seconds: float

    def __init__(
        self, pool: _Pool, sql: str, values: Values | None, *, writes: bool, timeouts: int = 1
    ) -> None:
        self._pool, self._sql, self._values, self._writes = pool, sql, values, writes
        self.timeouts = timeouts
        self._lock = threading.Lock()
        self._running_on: connection | None = None
        self._sent = False
        self.on_start: Callable[[], object] = lambda: None
        self._abandoned = False

    def run(self) -> list[Row]:
        """The rows; raises what the module's exceptions say, or psycopg2's own error."""
        self.on_start()
        try:
            return self._attempt()
        except _SafeToRetry:
            try:
                return self._attempt()
            except _SafeToRetry as again:
                raise Unavailable("The database is out of reach.") from again.__cause__

    def settle(self, done: Future[list[Row]]) -> None:
        """Hands the outcome to whoever waits for it; on the event loop."""
        self.deadline.cancel()
        if self.answer.done():
            return
        if done.cancelled():
            self.answer.set_exception(Unavailable("The service is stopping."))
        elif error := done.exception():
            self.answer.set_exception(error)
        else:
            self.answer.set_result(done.result())

    def abandon(self) -> None:
        """Gives up: frees the worker thread from a server that does not answer."""
        self.on_start()
        with self._lock:
            self._abandoned = True
            if self._running_on is not None and not self._running_on.closed:
                # The thread is blocked inside libpq; the end of its socket is what wakes it.
                with socket.socket(fileno=os.dup(self._running_on.fileno())) as end:
                    end.shutdown(socket.SHUT_RDWR)
            if not self.answer.done():
                self.answer.set_exception(self._lost())

    def _lost(self) -> Unavailable:
        if self._writes and self._sent:
            return OutcomeUnknown(UNCONFIRMED)
        return Unavailable("The database did not answer in time.")

    def _attempt(self) -> list[Row]:
        if self._abandoned:
            raise Unavailable("The database did not answer in time.")
        try:
            taken = self._pool.take()
        except psycopg2.OperationalError as error:
            metrics.add("database_errors_total", (("sqlstate", "08001"),))
            raise _SafeToRetry from error
        metrics.add("database_pool_in_use")
        try:
            with self._lock:
                if self._abandoned:
                    raise Unavailable("The database did not answer in time.")
                self._running_on, self._sent = taken, True
            with taken.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(self._in_time(), self._values)
                return list(cursor.fetchall()) if cursor.description else []
        except psycopg2.Error as error:
            raise self._meaning(error, taken) from error
        finally:
            with self._lock:
                self._running_on = None
            metrics.add("database_pool_in_use", amount=-1)
            self._pool.give_back(taken)

    def _in_time(self) -> str:
        """The statement, with less time at PostgreSQL where some was spent before: it has to give
        up before the deadline, because only its word is certain."""
        left = self.began + self.seconds - time.monotonic()
        usual = self.seconds / self.timeouts
        if self.timeouts == 1 and left > 0.95 * usual:
            return self._sql
        milliseconds = max(1, int(1000 * max(left - 0.1 * usual, left / 2)))
        lock_milliseconds = min(milliseconds, int(900 * usual))  # never longer than usual
        # In one message; each of its statements has a time-out of its own.
        return (
            f"select set_config('statement_timeout', '{milliseconds}', true),"
            f" set_config('lock_timeout', '{lock_milliseconds}', true);{self._sql}"
        )

    def _meaning(self, error: psycopg2.Error, taken: connection) -> Exception:
        """What an error means to the caller, by its SQLSTATE (PostgreSQL, appendix A)."""
        code = error.pgcode or ""
        metrics.add("database_errors_total", (("sqlstate", code or "none"),))
        meaning: Exception = error
        if code in RETRIED:
            meaning = _SafeToRetry()
            if code == READ_ONLY:
                self._pool.drop_idle()
                taken.close()
        elif code in TOO_SLOW:
            meaning = Unavailable("The database took too long; nothing was changed.")
        elif code in UNSTORABLE:
            meaning = Unstorable("The database cannot keep a value of this request.")
        elif taken.closed or code.startswith(("08", "57P")):
            meaning = self._lost() if self._writes else _SafeToRetry()
        elif code.startswith("53"):
            meaning = Unavailable("The database is out of resources.")
        return meaning


class _SafeToRetry(Exception):
    """Nothing was changed, and a second attempt may succeed."""


def _options(settings: Settings, dsn: str, seconds: float, lock_seconds: float) -> dict[str, Any]:
    """How a connection is opened whose statements last, and wait for a lock, at most so long."""
    milliseconds, lock_milliseconds = (
        max(1, int(1000 * limit)) for limit in (seconds, lock_seconds)
    )
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "tcp_user_timeout": int(900 * settings.database_timeout_seconds),
        "keepalives_idle": 30,
        "fallback_application_name": "config-service",
        "options": f"{parse_dsn(dsn).get('options', '')} -c statement_timeout={milliseconds}"
        f" -c lock_timeout={lock_milliseconds}"
        f" -c idle_in_transaction_session_timeout={milliseconds}"
        " -c timezone=UTC"
        f" -c config_service.max_document_bytes={settings.max_body_bytes}"
        f" -c config_service.history_keep_revisions={settings.history_keep_revisions}",
    }


class Database:
    """As many worker threads as connections, and `database_queue_size` statements waiting."""

    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.database_timeout_seconds
        dsn = settings.database_url.get_secret_value()
        # PostgreSQL gives up a little earlier, because its word is certain: nothing was changed.
        options = _options(settings, dsn, 0.9 * self._timeout, 0.9 * self._timeout)
        self._pool = _Pool(settings.database_pool_size, dsn, **options)
        metrics.add("database_pool_size", amount=settings.database_pool_size)
        self._workers = ThreadPoolExecutor(settings.database_pool_size, "database")
        self._room = threading.Semaphore(settings.database_pool_size + settings.database_queue_size)
        self._queued_reads = dict[tuple[str, str], _Statement]()
        # Prepared statements are another thing that a transaction pooler would break. They give up
        # early, so that who was refused together with others has time left for asking alone.
        dsn = settings.direct_url
        options = _options(settings, dsn, 0.2 * self._timeout, 0.05 * self._timeout)
        options["fallback_application_name"] += " gathering"
        # They find by id, whatever the tables looked like when they were planned.
        options["options"] += " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
        connect = partial(psycopg2.connect, dsn, async_=True, **options)
        gathering = partial(Gathering, connect, self._timeout, lambda: self._pool.drops)
        self._finds, self._changes = gathering(once=False), gathering(once=True)
        self.listener = Listener(settings.direct_url, self._versions)
        self.max_watchers = settings.max_watchers

    async def run(self) -> None:
        """Listens and gathers, until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for needed in (self.listener, self._finds, self._changes):
                tasks.create_task(needed.run())

    async def find(self, request: Request, values: Values) -> Row | None:
        """See the module's `read_batched`."""
        began = asyncio.get_running_loop().time()
        try:
            return await self._finds.ask(request, values)
        except (NotAsked, Unanswered):
            alone = in_lists([values], request.confined_to)
            return next(iter(await self.read(request.sql, alone, began)), None)

    async def change(self, request: Request, values: Values) -> Row | None:
        """See the module's `write_batched`."""
        began = asyncio.get_running_loop().time()
        try:
            return await self._changes.ask(request, values)
        except NotAsked:
            alone = in_lists([values], request.confined_to)
            return next(iter(await self.write(request.sql, alone, request.actor, began)), None)
        except Unanswered:
            raise OutcomeUnknown(UNCONFIRMED) from None

    async def read(self, sql: str, values: Values | None, began: float | None = None) -> list[Row]:
        """See the module's `read`."""
        key = (sql, repr(values))
        statement = self._queued_reads.get(key)
        if statement is None:
            statement = _Statement(self._pool, sql, values, writes=False)
            statement.on_start = lambda: self._queued_reads.pop(key, None)
            # Before it is submitted: it may begin, and be taken out again, at once.
            self._queued_reads[key] = statement
            self._expect(statement, began)
            self._submit(statement)
        # Who joins a read that has not begun sees what one of his own would see.
        return await asyncio.shield(statement.answer)

    async def write(
        self, sql: str, values: Values, actor: str, began: float | None = None, timeouts: int = 1
    ) -> list[Row]:
        """See the module's `write`."""
        values = {**values, "actor": actor}
        statement = _Statement(
            self._pool, by_actor(sql, actor), values, writes=True, timeouts=timeouts
        )
        self._expect(statement, began)
        self._submit(statement)
        return await asyncio.shield(statement.answer)

    def _expect(self, statement: _Statement, began: float | None) -> None:
        """The statement has an answer to come, at the latest at its deadline, counted from when it
        `began` or else from now."""
        loop = asyncio.get_running_loop()
        statement.answer = loop.create_future()
        statement.answer.add_done_callback(lambda answer: answer.exception())
        # The deadline is the statement's own: whoever waits for it may have gone by then.
        spent = loop.time() - began if began else 0
        statement.began = time.monotonic() - spent
        statement.seconds = statement.timeouts * self._timeout
        statement.deadline = loop.call_later(statement.seconds - spent, statement.abandon)

    def _submit(self, statement: _Statement) -> None:
        """Gives the statement to a worker thread; where the queue is full, its answer is that."""
        if not self._room.acquire(blocking=False):
            statement.on_start()
            statement.deadline.cancel()
            if not statement.answer.done():
                statement.answer.set_exception(Overloaded("The service is full."))
            return
        loop = asyncio.get_running_loop()
        future = self._workers.submit(statement.run)

        def settle(done: Future[list[Row]]) -> None:
            self._room.release()
            loop.call_soon_threadsafe(statement.settle, done)

        future.add_done_callback(settle)

    async def _versions(self, ids: list[str]) -> Versions:
        """What the listener compares: it differs after each change of an id; none if unknown, as
        while the database is out of reach or not migrated yet."""
        if not ids:
            return {}
        with suppress(Unavailable, psycopg2.Error):
            rows = await self.read(
                """
                select id, array[
                    (select revision from configurations where id = watched.id),
                    (select revision from applications where id = watched.id),
                    (select max(sequence) from configuration_revisions
                        where application_id = watched.id)
                ] as version
                from unnest(%(ids)s::text[]) as watched (id)
                """,
                {"ids": ids},
            )
            return {row["id"]: row["version"] for row in rows}
        return {}

    async def close(self) -> None:
        """Lets what is running end, drops what is queued, then closes the connections."""
        # Not on the event loop, which the deadlines of what is running need.
        await asyncio.to_thread(self._workers.shutdown, wait=True, cancel_futures=True)
        self._pool.closeall()


_database: Database | None = None
_caller: Callable[[], Caller] = Caller


@asynccontextmanager
async def opened(settings: Settings, caller: Callable[[], Caller] = Caller) -> AsyncIterator[None]:
    """The database for the time of the block; one such block per process.

    `caller` says who makes the request that is being answered.
    """
    global _database, _caller  # noqa: PLW0603 - the pool is the one thing a process shares
    _database, _caller = Database(settings), caller
    listening = asyncio.create_task(_database.run())
    try:
        yield
    finally:
        listening.cancel()
        await asyncio.wait([listening])
        await _database.close()
        _database = None


def confined_to() -> str | None:
    """The name or id of the application that the caller is confined to, if any."""
    return _caller().confined_to


def _current() -> Database:
    if _database is None:
        raise Unavailable("The service is starting or stopping.")
    return _database


async def read(sql: str, values: Values | None = None) -> list[Row]:
    """The rows of a statement that changes nothing, so that it may be repeated.

    Besides `values` it may use `%(confined_to)s`: what the table `applications` offers under
    `confinement(%(confined_to)s)` is all that the request may see, unless that is null.
    Raises Unavailable, Overloaded or Unstorable, and psycopg2.Error for whatever else PostgreSQL
    refuses. Answers or raises within `database_timeout_seconds`.
    """
    return await _current().read(sql, {**(values or {}), "confined_to": _caller().confined_to})


async def read_batched(sql: str, values: Values) -> Row | None:
    """The row whose column `id` is that of `values`, read together with those that others find.

    In the statement each name of `values` stands for a list, of what all of them gave. None sees
    anything older than what a statement of its own would. Otherwise like `read`.
    """
    return await _current().find(Request(sql, _caller().confined_to, "anonymous"), values)


async def write(sql: str, values: Values | None = None, *, timeouts: int = 1) -> list[Row]:
    """The rows of a statement that changes something; committed once this returns.

    It is told apart in history by its actor. Besides `values` it may use `%(confined_to)s`, as
    `read` says. It may take `timeouts` times `database_timeout_seconds`: more than one is for work
    that grows with the number of rows.
    Raises as `read` does (a violated constraint is psycopg2.IntegrityError), and OutcomeUnknown.
    """
    values = {**(values or {}), "confined_to": _caller().confined_to}
    return await _current().write(sql, values, _caller().actor, timeouts=timeouts)


async def write_batched(sql: str, values: Values) -> Row | None:
    """The row whose column `id` is that of `values`, changed together with those of others.

    In the statement each name of `values` stands for a list, in which no id is twice. What it
    refuses one of them it refuses that one alone. Otherwise like `write`.
    """
    return await _current().change(Request(sql, _caller().confined_to, _caller().actor), values)


async def wait[T](
    id: str, look: Callable[[], Awaitable[T]], done: Callable[[T], bool], seconds: float
) -> T:
    """What `look` sees once it is `done`, at the latest after `seconds`.

    It looks at once, and again after each change of the application or configuration `id`, through
    whichever instance that was made. Waiting holds no thread and no connection. Raises Overloaded
    where `max_watchers` wait already, and what `look` raises.
    """
    current = _current()
    if current.listener.watchers >= current.max_watchers:
        raise Overloaded("The service has all the watchers that it takes.")
    return await current.listener.wait(id, look, done, seconds)


def stop_waiting() -> None:
    """Lets every wait end at once, because the service stops."""
    if _database is not None:
        _database.listener.stop_waiting()
