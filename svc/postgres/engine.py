"""All that reaches PostgreSQL, put together: the pool, the two batchers and the listener."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from psycopg2.extensions import connection

from config import Settings
from postgres.background import Metrics, keep_running
from postgres.batching import LOCK, STATEMENT, Batcher, Statement
from postgres.connections import open_async, options
from postgres.errors import Unavailable
from postgres.listening import Listener, Versions
from postgres.memory import Memory
from postgres.pool import ALONE, Connections, Pool

# For each id of an application or a configuration what differs after each change.
VERSIONS = """
    select watched.id, array[
        (select revision from configurations where configurations.id = watched.id),
        (select revision from applications where applications.id = watched.id),
        (select max(sequence) from configuration_revisions
            where configuration_revisions.application_id = watched.id)
    ] as version
    from unnest(%(id)s::text[]) as watched (id)
    where %(confined_to)s::text is null
"""


class Engine:
    """`pool` for single statements, `reads` and `writes` for batched ones, `listener` for waits.

    `is_migrated` tells, over a connection, whether the database has every migration.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, is_migrated: Callable[[connection], bool]
    ) -> None:
        self._metrics = metrics
        seconds, dsn = settings.database_timeout_seconds, settings.database_url.get_secret_value()
        limits = {"statement_seconds": ALONE * seconds, "lock_seconds": ALONE * seconds}
        connections = Connections(
            settings.database_pool_size, dsn, **options(settings, dsn, "", **limits)
        )
        self.pool = Pool(connections, settings.database_queue_size, seconds, metrics, is_migrated)
        # Prepared statements and LISTEN are what a transaction pooler would break.
        dsn = settings.direct_url
        listening = options(settings, dsn, "listener", **limits)
        self.listener = Listener(
            partial(open_async, dsn, **listening), self._versions, settings.max_watchers, metrics
        )
        limits = {"statement_seconds": STATEMENT * seconds, "lock_seconds": LOCK * seconds}
        batched = options(settings, dsn, "batches", **limits)
        # A batch finds rows by their ids, whatever the tables looked like when it was planned.
        batched["options"] += " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
        batcher = partial(
            Batcher,
            partial(open_async, dsn, **batched),
            seconds=seconds,
            drops=lambda: connections.drops,
            metrics=metrics,
        )
        self.reads = batcher(alone=self.pool.read, writes=False)
        self.writes = batcher(alone=self.pool.write, writes=True)
        self.memory = Memory(self.reads, self.pool, settings.answer_memory_bytes, metrics)

    def stop_waiting(self) -> None:
        """Lets every wait end, because the service stops."""
        self.listener.stop_waiting()
        self.pool.refuse_waiting(Unavailable("The service is stopping."))

    async def _versions(self, ids: list[str]) -> Versions:
        if len(ids) == 1:
            row = await self.reads.ask(Statement(VERSIONS, None, ""), {"id": ids[0]})
            return {ids[0]: row and row["version"]}
        rows = await self.pool.read(VERSIONS, {"id": ids, "confined_to": None}) if ids else []
        return {row["id"]: row["version"] for row in rows}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Engine"]:
        """Connects, listens and asks in the background, for the time of the block."""
        tasks = [
            asyncio.create_task(keep_running(name, work, self._metrics))
            for name, work in {
                "listening": self.listener.listen,
                "refreshing": self.listener.refresh,
                "batched reads": self.reads.run,
                "batched writes": self.writes.run,
            }.items()
        ]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self.pool.close()
