"""Asks the database for many at once: one round trip, one transaction, one wait for the disk.

While one statement is under way, what is asked for meanwhile gathers for the next one. It runs on a
connection that the event loop itself listens to, because waking a thread costs more than the rest.
"""

import asyncio
import logging
import random
import select
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import (
    POLL_OK,
    POLL_WRITE,
    TRANSACTION_STATUS_IDLE,
    connection,
    cursor,
)

from edge import metrics

MOST = 100
MOST_BATCHES = 200
LARGE = 16 * 1024
TURNS = 3
CONNECT_TIMEOUT_SECONDS = 3

# What one of a batch may have caused, so that the others are asked for together again.
OF_ONE = (psycopg2.IntegrityError, psycopg2.DataError, ValueError)

_log = logging.getLogger("config_service")

type Row = dict[str, Any]
type Values = Mapping[str, Any]


class NotAsked(Exception):
    """This was not asked together with others, or nobody could be answered: ask for it alone."""


class Unanswered(Exception):
    """The statement was sent, and what became of it is unknown."""


def in_lists(asked: list[Values], confined_to: str | None) -> dict[str, Any]:
    """The values of several, for each name a list, and what they are all confined to."""
    lists: dict[str, Any] = {name: [values[name] for values in asked] for name in asked[0]}
    return lists | {"confined_to": confined_to}


def by_actor(sql: str, actor: str) -> str:
    """The same with its actor told to history, in one message and so in one transaction."""
    if actor == "anonymous":
        return sql
    return f"select set_config('config_service.actor', %(actor)s, true);{sql}"


def hung_up(idle: connection) -> bool:
    """Whether the server has closed this: an idle connection that is readable has nothing else to
    say."""
    poll = select.poll()
    poll.register(idle.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Request(NamedTuple):
    """What those of a batch have in common: the statement and who asks."""

    sql: str
    confined_to: str | None
    actor: str


class _Batch:
    """What one statement asks for: by their `id` the values, and who waits for the answer."""

    patience: asyncio.TimerHandle

    def __init__(self, request: Request, began: float) -> None:
        self.request, self.began = request, began
        self._asked = dict[str, Values]()
        self._waiting = dict[str, list[asyncio.Future[Row | None]]]()

    @property
    def divisible(self) -> bool:
        """Whether it asks for more than one."""
        return len(self._asked) > 1

    def halves(self) -> list["_Batch"]:
        """The same in two."""
        ids = list(self._asked)
        middle = len(ids) // 2
        halves = []
        for part in (ids[:middle], ids[middle:]):
            half = _Batch(self.request, self.began)
            half._asked = {one: self._asked[one] for one in part}
            half._waiting = {one: self._waiting[one] for one in part}
            halves.append(half)
        return halves

    def takes(self, request: Request, values: Values, *, once: bool) -> bool:
        """Whether it may be asked for this too: of the same kind, and each id once."""
        if self.request != request or len(self._asked) == MOST:
            return False
        asked = self._asked.get(values["id"])
        return asked is None or (not once and asked == values)

    def add(self, values: Values) -> asyncio.Future[Row | None]:
        """The answer to come."""
        answer = asyncio.get_running_loop().create_future()
        self._asked[values["id"]] = values
        self._waiting.setdefault(values["id"], []).append(answer)
        return answer

    async def prepare(self, opened: connection, prepared: dict[str, str]) -> str:
        """The statement that executes what is planned once, now if it is not `prepared` yet."""
        sql = self.request.sql
        if sql not in prepared:
            names = in_lists(list(self._asked.values()), None)
            numbered = sql % {name: f"${number}" for number, name in enumerate(names, 1)}
            prepared_name = f"gathered_{len(prepared)}"
            await _execute(opened, f"prepare {prepared_name} as {numbered}", None)
            given = ", ".join(f"%({name})s" for name in names)
            prepared[sql] = f"execute {prepared_name} ({given})"
        return by_actor(prepared[sql], self.request.actor)

    async def execute(self, opened: connection, sql: str) -> cursor:
        """The rows of all."""
        lists = in_lists(list(self._asked.values()), self.request.confined_to)
        return await _execute(opened, sql, lists | {"actor": self.request.actor})

    def answer(self, rows: cursor) -> None:
        """Gives each row to those who wait for its `id`, and None to whom there is none for."""
        names = [column.name for column in rows.description or ()]
        at = names.index("id")
        found = {row[at]: dict(zip(names, row, strict=True)) for row in rows}
        for asked, answer in self._unanswered():
            answer.set_result(found.get(asked))

    def fail(self, error: type[Exception]) -> None:
        """Tells all that there is no answer."""
        for _, answer in self._unanswered():
            answer.set_exception(error())

    def _unanswered(self) -> Iterator[tuple[str, asyncio.Future[Row | None]]]:
        """Who still waits, by what was asked for; some have given up."""
        for asked, waiting in self._waiting.items():
            for answer in waiting:
                if not answer.done():
                    yield asked, answer


class Gathering:
    """One connection, and what gathers for it.

    With `once` those who ask for the same get a statement each, as those who change must. `seconds`
    is how long an answer may take: a quarter of it until the statement is sent, and half of it for
    all where it may be asked for again. `outdated` tells when to connect anew: by another number
    than before.
    """

    def __init__(
        self,
        connect: Callable[[], connection],
        seconds: float,
        outdated: Callable[[], int],
        *,
        once: bool,
    ) -> None:
        self._connect, self._seconds, self._outdated, self._once = connect, seconds, outdated, once
        # Who may ask again alone needs time left for that.
        self._share = 1 if once else 0.5
        self._batches = deque[_Batch]()
        self._asked = asyncio.Event()
        self._serving = False

    async def ask(self, request: Request, values: Values) -> Row | None:
        """The row whose `id` is that of `values`; raises NotAsked or Unanswered.

        In the statement each name of `values` stands for a list.
        """
        length = sum(len(value) for value in values.values() if isinstance(value, str))
        if not self._serving or length > LARGE or len(self._batches) >= MOST_BATCHES:
            raise NotAsked
        for batch in self._batches:
            if batch.takes(request, values, once=self._once):
                break
        else:
            batch = _Batch(request, asyncio.get_running_loop().time())
            self._batches.append(batch)
            self._expect(batch)
        return await batch.add(values)

    def _expect(self, batch: _Batch) -> None:
        """Lets it be asked for, or not if a quarter of its time has passed by then."""
        loop = asyncio.get_running_loop()
        batch.patience = loop.call_at(batch.began + self._seconds / 4, self._pass_on, batch)
        self._asked.set()

    def _pass_on(self, batch: _Batch) -> None:
        self._batches.remove(batch)
        self._taken(batch)
        batch.fail(NotAsked)

    def _taken(self, batch: _Batch) -> None:
        batch.patience.cancel()
        if not self._batches:
            self._asked.clear()

    async def run(self) -> None:
        """Keeps a connection and asks, until it is cancelled."""
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                    # In a thread, because it looks the host's name up.
                    opened = await asyncio.to_thread(self._connect)
                with closing(opened):
                    async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                        await _settled(opened)
                    await self._serve(opened)
            except (psycopg2.Error, TimeoutError):
                pass  # those who ask alone meanwhile are told what is wrong
            except Exception:
                _log.exception("what was gathered failed")
            finally:
                self._serving = False
                while self._batches:
                    self._pass_on(self._batches[0])
            # Not all instances at once, when a database comes back.
            await asyncio.sleep(random.uniform(0.2, 1))  # noqa: S311

    async def _serve(self, opened: connection) -> None:
        """Asks for one batch after the other, until the connection is lost or outdated."""
        current, prepared = self._outdated(), dict[str, str]()
        self._serving = True
        while True:
            await self._asked.wait()
            # Those who were just answered go first: what their clients ask next comes along.
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if hung_up(opened) or self._outdated() != current:
                return
            if not self._batches:
                continue
            batch, sent = self._batches.popleft(), False
            self._taken(batch)
            try:
                async with asyncio.timeout_at(batch.began + self._seconds * self._share):
                    sql = await batch.prepare(opened, prepared)
                    sent = True
                    rows = await batch.execute(opened, sql)
            except (Exception, asyncio.CancelledError) as error:
                # As long as all is in order, the statement was refused and nothing changed: whose
                # fault that was shows alone.
                refused = (
                    not opened.closed
                    and opened.info.transaction_status == TRANSACTION_STATUS_IDLE
                    and not isinstance(error, asyncio.CancelledError)
                )
                if refused and isinstance(error, OF_ONE) and batch.divisible:
                    halves = batch.halves()
                    self._batches.extendleft(reversed(halves))
                    for half in halves:
                        self._expect(half)
                    continue
                batch.fail(Unanswered if sent and not refused else NotAsked)
                if refused:  # and counted when it is asked for alone
                    continue
                if isinstance(error, psycopg2.Error):
                    metrics.add("database_errors_total", (("sqlstate", error.pgcode or "none"),))
                raise
            try:
                batch.answer(rows)
            except Exception:
                batch.fail(Unanswered)
                raise


async def _execute(opened: connection, sql: str, values: Values | None) -> cursor:
    running = opened.cursor()
    running.execute(sql, values)
    await _settled(opened)
    return running


async def _settled(opened: connection) -> None:
    """Lets the event loop wait for what the connection is doing."""
    loop = asyncio.get_running_loop()
    while (state := opened.poll()) != POLL_OK:
        writes = state == POLL_WRITE
        watch, unwatch = (
            (loop.add_writer, loop.remove_writer)
            if writes
            else (loop.add_reader, loop.remove_reader)
        )
        descriptor, ready = opened.fileno(), asyncio.Event()
        watch(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            unwatch(descriptor)
