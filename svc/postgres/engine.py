"""All that reaches PostgreSQL, put together: the pool, the two batchers and the listener."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from config import Settings
from postgres.background import Metrics, Tasks, keep_running
from postgres.batching import LOCK, STATEMENT, Batcher, Statement
from postgres.connections import connecting
from postgres.listening import Listener, Versions
from postgres.memory import Memory
from postgres.pool import ALONE, Pool

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

    `obstacle` says why the database of a DSN is not ready, if it is not; it may block.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, obstacle: Callable[[str], str | None]
    ) -> None:
        self._metrics = metrics
        dsn, direct = settings.database_url.get_secret_value(), settings.direct_url
        connect = partial(connecting, settings, statement=ALONE, lock=ALONE)
        self.pool = Pool(connect(dsn, ""), settings, partial(obstacle, direct), metrics)
        # Prepared statements and LISTEN are what a transaction pooler would break.
        heard = connect(direct, "listener")
        self.listener = Listener(heard, self._versions, settings.max_watchers, metrics)
        # A batch finds rows by their ids, whatever the tables looked like when it was planned.
        planned = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
        batched = connect(direct, "batches", statement=STATEMENT, lock=LOCK, more=planned)
        self.reads = Batcher(batched, self.pool, metrics, writes=False)
        self.writes = Batcher(batched, self.pool, metrics, writes=True)
        self.memory = Memory(self.reads, self.pool, settings.answer_memory_bytes, metrics)

    def stop_waiting(self) -> None:
        """Lets every wait end, because the service stops."""
        self.listener.stop_waiting()
        self.pool.stop_waiting()

    async def _versions(self, ids: list[str]) -> Versions:
        if len(ids) == 1:
            row = await self.reads.ask(Statement(VERSIONS), {"id": ids[0]})
            return {ids[0]: row and row["version"]}
        rows = await self.pool.read(VERSIONS, {"id": ids, "confined_to": None}) if ids else []
        return {row["id"]: row["version"] for row in rows}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Engine"]:
        """Connects, listens and asks in the background, for the time of the block."""
        tasks = Tasks()
        for name, work in {
            "listening": self.listener.listen,
            "refreshing": self.listener.refresh,
            "batched reads": self.reads.run,
            "batched writes": self.writes.run,
        }.items():
            tasks.start(keep_running(name, work, self._metrics))
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await tasks.ended()
            await self.pool.close()
