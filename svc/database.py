"""The one way to the database: what a slice calls.

A slice hands over one statement and its values. The statement may also use `%(confined_to)s`:
`confinement(%(confined_to)s)` is the only application that the caller may see, unless it is null.
All raise Unavailable, Overloaded or ValueRefused, and those that write CheckFailed, CheckInUse,
SchemaRefused or SchemaTooLarge: the edge answers these. They raise psycopg2.Error for whatever else
PostgreSQL refuses. All answer or raise within `database_timeout_seconds`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import migrations
from config import Settings
from postgres.background import Metrics
from postgres.batching import Statement
from postgres.connections import Row, Values
from postgres.engine import Engine
from postgres.errors import (
    CheckFailed,
    CheckInUse,
    OutcomeUnknown,
    Overloaded,
    SchemaRefused,
    SchemaTooLarge,
    Unavailable,
    ValueRefused,
    told,
)

__all__ = [
    "CheckFailed",
    "CheckInUse",
    "OutcomeUnknown",
    "Overloaded",
    "Row",
    "SchemaRefused",
    "SchemaTooLarge",
    "Unavailable",
    "ValueRefused",
    "Values",
    "told",
]


class Caller(NamedTuple):
    """The actor that history names, and the application (name or id) that it is confined to."""

    actor: str = "anonymous"
    confined_to: str | None = None


async def read(sql: str, values: Values | None = None) -> list[Row]:
    """The rows of a statement that changes nothing, so that it may be repeated."""
    given = {**(values or {}), "confined_to": confined_to()}
    return await _opened().engine.pool.read(sql, given)


async def read_batched(sql: str, values: Values) -> Row | None:
    """The row whose `id` is that of `values`, read together with those of other requests.

    In the statement each name of `values` stands for a list, of what all of them gave. None sees
    anything older than what a statement of its own would. A row also has a `tag` and a `body`: two
    bodies of one request with the same tag are equal. The body may be null where the tag is the one
    in the list `known`, and, if the lists have several elements, where it is large.
    """
    return await _opened().engine.memory.read(Statement(sql, confined_to()), values)


async def write(sql: str, values: Values | None = None, *, timeouts: int = 1) -> list[Row]:
    """The rows of a statement that changes something; committed once this returns, or undone again
    where the request only tries it. History names the caller, and says why. Work that grows with
    the rows may take several time-outs. Raises OutcomeUnknown."""
    statement, undone = _change(sql)
    given = {**(values or {}), **statement.caller}
    pool = _opened().engine.pool
    return await pool.write(statement.recorded(sql), given, timeouts=timeouts, undone=undone)


async def write_batched(sql: str, values: Values) -> Row | None:
    """The row whose column `id` is that of `values`, changed together with those of other requests.

    In the statement each name of `values` stands for a list, in which no id is twice. What is
    refused for one of them is refused for that one alone. Otherwise like `write`.
    """
    statement, undone = _change(sql)
    if undone:  # alone: nothing of another request may be undone with it
        rows = await write(sql, statement.in_lists([values]))
        return rows[0] if rows else None
    return await _opened().engine.writes.ask(statement, values)


async def wait[T](
    look: Callable[[], Awaitable[T]],
    done: Callable[[T], bool],
    seconds: float,
    watched: Callable[[T], str],
) -> T:
    """What `look` sees once it is `done`, or after `seconds`.

    It looks at once, and again after each change of the application or configuration whose id is
    `watched`, through whichever instance that was made. Waiting holds no thread and no connection.
    Raises Overloaded where `max_watchers` wait already, and what `look` raises.
    """
    return await _opened().engine.listener.wait(look, done, seconds, watched)


def confined_to() -> str | None:
    """The name or id of the application that the caller is confined to, if any."""
    return _opened().caller().confined_to


def stop_waiting() -> None:
    """Lets every wait end, because the service stops."""
    if _database is not None:
        _database.engine.stop_waiting()


class _Opened(NamedTuple):
    engine: Engine
    caller: Callable[[], Caller]
    change: Callable[[], tuple[str, bool]]


_database: _Opened | None = None


def _change(sql: str) -> tuple[Statement, bool]:
    """The statement by its caller, and whether it is only tried."""
    actor, confined = _opened().caller()
    note, undone = _opened().change()
    return Statement(sql, confined, actor, note), undone


def _opened() -> _Opened:
    if _database is None:
        raise Unavailable("The service is starting or stopping.")
    return _database


@asynccontextmanager
async def opened(
    settings: Settings,
    caller: Callable[[], Caller],
    change: Callable[[], tuple[str, bool]],
    metrics: Metrics,
) -> AsyncIterator[None]:
    """The database for the time of the block; one such block per process. `caller` says who makes
    the request that is being answered; `change` why it changes something, and whether it only tries
    to; `metrics` counts."""
    global _database  # noqa: PLW0603 - it is the one thing that a process shares
    async with Engine(settings, metrics, migrations.obstacle).running() as engine:
        _database = _Opened(engine, caller, change)
        try:
            yield
        finally:
            _database = None
