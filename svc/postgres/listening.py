"""Wakes whoever waits for a change: LISTEN is the quick way to hear of it, the tables the sure one.

A notification is a hint that may be lost. So what is being watched is read every few seconds, and
whenever the listening connection was made anew: nothing is missed, only late.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import batched

from psycopg2.extensions import connection

from postgres.background import Metrics
from postgres.connections import CONNECT_TIMEOUT_SECONDS, execute, readable
from postgres.errors import Overloaded
from postgres.pool import patience

REFRESH_SECONDS = 3
CHANNEL = "changes"
GROUP = 100  # waiters that go on in one turn of the event loop

type Versions = dict[str, object]


class Watch:
    """What several wait for: the id of an application or of a configuration."""

    def __init__(self, id: str) -> None:
        self.id, self.watchers = id, 0
        self.version: object = None
        self._waiting = set[asyncio.Future[None]]()

    @contextmanager
    def change(self) -> Iterator[asyncio.Future[None]]:
        """What is done after the next change."""
        change = asyncio.get_running_loop().create_future()
        self._waiting.add(change)
        try:
            yield change
        finally:
            self._waiting.remove(change)

    def wake(self, groups: Iterator[tuple[asyncio.Future[None], ...]] | None = None) -> None:
        """Lets all who wait look again: a group in each turn of the event loop, so that others are
        served in between."""
        groups = groups or batched(self._waiting.copy(), GROUP, strict=False)
        if group := next(groups, None):
            for change in group:
                if not change.done():
                    change.set_result(None)
            asyncio.get_running_loop().call_soon(self.wake, groups)


class Listener:
    """One connection for all watchers of this process.

    `connect` opens it. `versions` reads from the tables, for a list of ids, something that differs
    after each change.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[connection]],
        versions: Callable[[list[str]], Awaitable[Versions]],
        max_watchers: int,
        metrics: Metrics,
    ) -> None:
        self._connect, self._versions, self._metrics = connect, versions, metrics
        self._watches = dict[str, Watch]()
        self._is_due = asyncio.Event()
        self._stopping = False
        self._watchers, self._max_watchers = 0, max_watchers

    async def wait[T](
        self,
        look: Callable[[], Awaitable[T]],
        done: Callable[[T], bool],
        seconds: float,
        watched: Callable[[T], str],
    ) -> T:
        """What `look` sees once it is `done`, or when `seconds` have passed or the service stops.

        It looks at first, and again after each change of what is `watched`, the id of an
        application or of a configuration. However many look at the same time, each waits for its
        turn. Raises Overloaded where too many wait already, and what `look` raises.
        """
        give_up_at = asyncio.get_running_loop().time() + seconds
        with patience():
            seen = await look()
            if self._stopping or done(seen):
                return seen
            with self._watching(watched(seen)) as watch, suppress(TimeoutError):
                async with asyncio.timeout_at(give_up_at):
                    await self._know_version(watch)
                    while not self._stopping:
                        # Before the look, to miss no change during it.
                        with watch.change() as change:
                            seen = await look()
                            if done(seen):
                                break
                            await change
            return seen

    @contextmanager
    def _watching(self, id: str) -> Iterator[Watch]:
        if self._watchers >= self._max_watchers:
            raise Overloaded("The service has all the watchers that it takes.")
        watch = self._watches.setdefault(id, Watch(id))
        watch.watchers += 1
        self._watchers += 1
        self._metrics.add("watchers")
        try:
            yield watch
        finally:
            self._watchers -= 1
            self._metrics.add("watchers", amount=-1)
            watch.watchers -= 1
            if watch.watchers == 0:
                del self._watches[id]

    async def _know_version(self, watch: Watch) -> None:
        """Reads the version of a new watch. It is older than what the first look sees, so that
        whatever differs later is a change, and no refresh wakes a watch for being new."""
        if watch.version is None:
            version = (await self._versions([watch.id])).get(watch.id)
            watch.version = watch.version or version

    def stop_waiting(self) -> None:
        """Lets every wait end with what it saw last; from now on nobody waits."""
        self._stopping = True
        for watch in self._watches.values():
            watch.wake()

    async def listen(self) -> None:
        """Wakes by notifications until the connection is lost."""
        with closing(await self._connect()) as heard:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await execute(heard, self._metrics, f"listen {CHANNEL}")
            self._is_due.set()  # for what changed while nobody listened
            with readable(heard) as ready:
                while True:
                    for notification in heard.notifies:
                        for changed in notification.payload.split():
                            if changed in self._watches:
                                self._watches[changed].wake()
                    heard.notifies.clear()
                    await ready.wait()
                    ready.clear()
                    heard.poll()  # raises where the connection is lost

    async def refresh(self) -> None:
        """Every few seconds, and when it is due, wakes each watch that has another version."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._is_due.wait()
            self._is_due.clear()
            for watched, version in (await self._versions(list(self._watches))).items():
                watch = self._watches.get(watched)
                if watch and watch.version not in (None, version):
                    watch.version = version
                    watch.wake()
