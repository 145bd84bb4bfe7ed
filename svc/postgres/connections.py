"""Connections of the event loop: how they are opened, host by host, and how they are asked."""

import asyncio
import select
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg2
from psycopg2.extensions import (
    POLL_OK,
    POLL_READ,
    POLL_WRITE,
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INERROR,
    TRANSACTION_STATUS_INTRANS,
    TRANSACTION_STATUS_UNKNOWN,
    connection,
    make_dsn,
    parse_dsn,
)

from config import Settings
from postgres.background import Metrics
from postgres.errors import Lost, is_lost

CONNECT_TIMEOUT_SECONDS = 3

# Of a transaction that was begun, and of a statement or a connection that nobody can tell of.
_IN_TRANSACTION = {TRANSACTION_STATUS_INTRANS, TRANSACTION_STATUS_INERROR}
_UNDER_WAY = {TRANSACTION_STATUS_ACTIVE, TRANSACTION_STATUS_UNKNOWN}

type Row = dict[str, Any]
type Values = Mapping[str, Any]


def connecting(
    settings: Settings, dsn: str, role: str, *, statement: float, lock: float, more: str = ""
) -> partial[Coroutine[Any, Any, connection]]:
    """What opens a connection whose `role` shows in pg_stat_activity.

    PostgreSQL gives up a `statement`, and a `lock`, after these parts of the time that a request
    has. The `options` of the `dsn` stay, and `more` come behind.
    """
    seconds = settings.database_timeout_seconds
    milliseconds, lock_milliseconds = (
        max(1, int(1000 * part * seconds)) for part in (statement, lock)
    )
    options = (
        f"{parse_dsn(dsn).get('options', '')} -c statement_timeout={milliseconds}"
        f" -c lock_timeout={lock_milliseconds}"
        f" -c idle_in_transaction_session_timeout={milliseconds}"
        " -c timezone=UTC"
        f" -c config_service.max_document_bytes={settings.max_body_bytes}"
        f" -c config_service.max_content_bytes={settings.max_content_bytes}"
        f" -c config_service.history_keep_revisions={settings.history_keep_revisions} {more}"
    )
    return partial(
        open_async,
        dsn,
        options=options,
        tcp_user_timeout=int(900 * seconds),
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        fallback_application_name=f"config-service {role}".strip(),
    )


def hung_up(idle: connection) -> bool:
    """Whether the server has closed this: an idle connection that is readable has nothing else to
    say."""
    poll = select.poll()
    poll.register(idle.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def by_host(dsn: str) -> Iterator[str]:
    """A DSN for each host of `dsn`, in their order."""
    parts = parse_dsn(dsn)
    lists = {name: parts[name].split(",") for name in ("host", "hostaddr", "port") if name in parts}
    for number in range(max(len(lists.get(name, [""])) for name in ("host", "hostaddr"))):
        # One port may stand for all of the hosts.
        own = {name: given[number % len(given)] for name, given in lists.items()}
        yield make_dsn(dsn, **own)


async def open_async(dsn: str, **options: Any) -> connection:
    """A connection for the event loop, to the first host of `dsn` that can be connected to.

    Each host has CONNECT_TIMEOUT_SECONDS: libpq keeps to a time-out of its own only where it
    blocks. Raises what the last host failed with: mostly OperationalError or TimeoutError.
    """
    failure: Exception
    for host in by_host(dsn):
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                # In a thread, because it looks the host's name up.
                opened = await asyncio.to_thread(psycopg2.connect, host, async_=True, **options)
                try:
                    await settled(opened)
                    if hung_up(opened):
                        raise psycopg2.OperationalError("a new connection is closed at once")
                except BaseException:
                    opened.close()
                    raise
                return opened
        except Exception as error:
            failure = error
    raise failure


async def execute(
    opened: connection, metrics: Metrics, sql: str, values: Values | None = None
) -> list[Row]:
    """The rows of a statement, for which only the event loop waits.

    Raises Lost where that cannot be told, and otherwise what psycopg2 refuses it with: then it has
    changed nothing, and the connection is in order.
    """
    metrics.add("database_pool_in_use")
    try:
        running = opened.cursor()
        running.execute(sql, values)
        await settled(opened)
    except psycopg2.Error as error:
        if is_lost(error) or opened.info.transaction_status in _UNDER_WAY:
            count_error(metrics, error.pgcode)
            raise Lost from error
        raise
    finally:
        metrics.add("database_pool_in_use", amount=-1)
    try:
        names = [column.name for column in running.description or ()]
        return [dict(zip(names, row, strict=True)) for row in (running if names else ())]
    except Exception as error:  # it was done, and cannot be read
        raise Lost from error


async def execute_undone(
    opened: connection, metrics: Metrics, sql: str, values: Values | None = None
) -> list[Row]:
    """Like `execute`, in a transaction that is rolled back: the same rows, or the same refusal, and
    nothing has changed."""
    try:
        return await execute(opened, metrics, f"begin;{sql}", values)
    finally:
        if opened.info.transaction_status in _IN_TRANSACTION:
            await execute(opened, metrics, "rollback")


def in_order(opened: connection) -> bool:
    """Whether it is open, and neither runs a statement nor is within a transaction."""
    return not opened.closed and opened.info.transaction_status == TRANSACTION_STATUS_IDLE


def count_error(metrics: Metrics, sqlstate: str | None) -> None:
    """Counts an error of PostgreSQL, or the failure to reach it."""
    metrics.add("database_errors_total", (("sqlstate", sqlstate or "none"),))


async def settled(opened: connection) -> None:
    """Waits on the event loop for what the connection is doing."""
    while (state := opened.poll()) != POLL_OK:
        with readable(opened, state) as ready:
            await ready.wait()


@contextmanager
def readable(opened: connection, state: int = POLL_READ) -> Iterator[asyncio.Event]:
    """What is set when the connection can be read from; for POLL_WRITE, written to."""
    loop, descriptor, ready = asyncio.get_running_loop(), opened.fileno(), asyncio.Event()
    if state == POLL_WRITE:
        watch, unwatch = loop.add_writer, loop.remove_writer
    else:
        watch, unwatch = loop.add_reader, loop.remove_reader
    watch(descriptor, ready.set)
    try:
        yield ready
    finally:
        unwatch(descriptor)
