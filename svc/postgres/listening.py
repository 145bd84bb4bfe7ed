"""Wakes whoever waits for a change: LISTEN is the quick way to hear of it, the tables the sure one.

A notification is a hint that may be lost. So what is being watched is read every few seconds, and
whenever the listening connection was made anew: nothing is missed, only late.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg2
from psycopg2.extensions import connection

from edge import metrics

REFRESH_SECONDS = 3
CHANNEL = "changes"

type Versions = dict[str, object]


class Watch:
    """What several wait for: the id of an application or of a configuration."""

    def __init__(self) -> None:
        self.watchers = 0
        self.version: object = self  # equal to none that the tables can have
        self.changed = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        """Lets all who wait go on, and the next ones wait anew."""
        self.changed.set_result(None)
        self.changed = asyncio.get_running_loop().create_future()


class Listener:
    """One connection for all watchers of this process.

    `versions` reads from the tables, for a list of ids, something that differs after each change.
    """

    def __init__(self, dsn: str, versions: Callable[[list[str]], Awaitable[Versions]]) -> None:
        self._dsn, self._versions = dsn, versions
        self._watches = dict[str, Watch]()
        self._stopping = False
        self.watchers = 0

    async def run(self) -> None:
        """Listens until it is cancelled, however often the connection is lost."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._refresh_regularly())

    @contextmanager
    def watching(self, id: str) -> Iterator[Watch]:
        """What wakes on a change of `id`, for the time of the block."""
        watch = self._watches.setdefault(id, Watch())
        watch.watchers += 1
        self.watchers += 1
        metrics.add("watchers")
        try:
            yield watch
        finally:
            self.watchers -= 1
            metrics.add("watchers", amount=-1)
            watch.watchers -= 1
            if watch.watchers == 0:
                del self._watches[id]

    async def wait[T](
        self, id: str, look: Callable[[], Awaitable[T]], done: Callable[[T], bool], seconds: float
    ) -> T:
        """What `look` sees once it is `done`, or when `seconds` have passed or the service stops.

        It looks at first, and again after each change of `id`.
        """
        give_up = asyncio.get_running_loop().time() + seconds
        with self.watching(id) as watch:
            while True:
                changed = watch.changed  # from before the look: a change during it is not missed
                seen = await look()
                if self._stopping or done(seen) or asyncio.get_running_loop().time() >= give_up:
                    return seen
                try:
                    async with asyncio.timeout_at(give_up):
                        await asyncio.shield(changed)
                except TimeoutError:
                    return seen

    def stop_waiting(self) -> None:
        """Lets every wait end with what it saw last; from now on nobody waits."""
        self._stopping = True
        for watch in self._watches.values():
            watch.wake()

    async def _listen(self) -> None:
        while True:
            with suppress(psycopg2.Error):
                heard = await asyncio.to_thread(self._connect)
                await self._hear(heard)
            # Not all instances at once, when a database comes back.
            await asyncio.sleep(random.uniform(0.2, 1))  # noqa: S311

    def _connect(self) -> connection:
        opened = psycopg2.connect(
            self._dsn,
            connect_timeout=3,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            fallback_application_name="config-service listener",
        )
        opened.autocommit = True
        with opened.cursor() as cursor:
            cursor.execute(f"listen {CHANNEL}")
        return opened

    async def _hear(self, heard: connection) -> None:
        """Wakes by notifications until the connection is lost."""
        loop = asyncio.get_running_loop()
        lost = loop.create_future()
        descriptor = heard.fileno()

        def receive() -> None:
            try:
                heard.poll()
            except psycopg2.Error:  # raised once; after that the connection would stay silent
                loop.remove_reader(descriptor)
                lost.set_result(None)
                return
            for notification in heard.notifies:
                for changed in notification.payload.split():
                    if changed in self._watches:
                        self._watches[changed].wake()
            heard.notifies.clear()

        loop.add_reader(descriptor, receive)
        try:
            await self._refresh()  # what changed while nobody listened
            await lost
        finally:
            loop.remove_reader(descriptor)
            heard.close()

    async def _refresh_regularly(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._refresh()

    async def _refresh(self) -> None:
        """Wakes each watch whose version is not the one of the last time; a new one always."""
        for watched, version in (await self._versions(list(self._watches))).items():
            watch = self._watches.get(watched)
            if watch and watch.version != version:
                watch.version = version
                watch.wake()
