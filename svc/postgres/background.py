"""Work that goes on beside the requests for as long as the service runs."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, NoReturn, Protocol

import psycopg2

from postgres.errors import Lost, Unavailable

_log = logging.getLogger("config_service")


class Metrics(Protocol):
    """What counts: `edge.metrics`, or a stand-in."""

    def add(self, name: str, labels: tuple[tuple[str, str], ...] = (), amount: float = 1) -> None:
        """Adds `amount` to the series of `name` with these labels."""

    def observe(self, name: str, value: float) -> None:
        """Counts `value` in the histogram `name`."""


class Tasks(set[asyncio.Task[Any]]):
    """Those that are under way."""

    def start[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begins what goes on though the request that began it goes, in no request's context."""
        task = asyncio.create_task(work, context=Context())
        self.add(task)
        task.add_done_callback(self._end)
        return task

    async def ended(self) -> None:
        """Returns once none is left."""
        while self:
            await asyncio.wait(self)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it may have gone


async def keep_running(
    task: str, work: Callable[[], Awaitable[None]], metrics: Metrics
) -> NoReturn:
    """Does `work` again and again, with a pause in between, until it is cancelled.

    That the database is away is part of the day. Whatever else is raised is counted each time as a
    failure of `task`, and logged once in a row.
    """
    logged: type[BaseException] | None = None
    while True:
        try:
            await work()
            logged = None
        except (psycopg2.Error, Lost, Unavailable, TimeoutError):
            logged = None
        except (Exception, asyncio.CancelledError) as error:
            current = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and current and current.cancelling():
                raise
            metrics.add("background_failures_total", (("task", task),))
            if type(error) is not logged:
                _log.exception("failed, and is tried again: %s", task)
                logged = type(error)
        # Not all instances at once, when a database comes back.
        await asyncio.sleep(random.uniform(0.2, 1))  # noqa: S311
