import asyncio
import random
import socket
from collections.abc import Callable
from typing import Any

import pytest
from psycopg2.extensions import connection, make_dsn, parse_dsn

from config import Settings
from postgres import connections
from postgres.batching import LOCK, STATEMENT, Statement
from postgres.conftest import Backend, Counts, refuse_in_latin_1, until
from postgres.engine import Engine

pytestmark = pytest.mark.anyio

SETTINGS = """
    select {id} as id, jsonb_object_agg(name, setting) as settings from pg_settings
    where name in ('statement_timeout', 'lock_timeout', 'application_name', 'plan_cache_mode',
        'enable_seqscan') {where}
"""
ALONE = SETTINGS.format(id="null", where="")
BATCHED = SETTINGS.format(id="id", where="or name = %(confined_to)s::text group by id").replace(
    "from pg_settings", "from unnest(%(id)s::text[]) as asked (id), pg_settings"
)
CONNECTING = {"listening", "batched reads", "batched writes"}


@pytest.fixture
def engine(
    backend: Backend, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Engine]:
    """An engine with these settings, which tries again without a pause."""
    monkeypatch.setattr(random, "uniform", lambda *_: 0)

    def configured(dsn: str = "", **given: Any) -> Engine:
        settings = Settings(**{"_env_file": None, "database_url": dsn or backend.dsn, **given})
        return Engine(settings, counts, lambda _: None)

    return configured


async def connected(engine: Engine) -> None:
    """Returns once both batchers have a connection."""
    batchers = (engine.reads, engine.writes)
    await until(lambda: all(batcher._is_connected for batcher in batchers))


async def batched(engine: Engine, writes: bool = False) -> dict[str, str]:
    """The settings of the connection that runs batches."""
    batcher = engine.writes if writes else engine.reads
    row = await batcher.ask(Statement(BATCHED, None, "anonymous"), {"id": "A"})
    assert row is not None
    settings: dict[str, str] = row["settings"]
    return settings


async def test_postgresql_gives_up_earlier_than_the_service_and_earliest_for_batches(
    engine: Callable[..., Engine],
) -> None:
    async with engine(database_timeout_seconds=2).running() as one:
        await connected(one)
        [alone] = await one.pool.read(ALONE, {})
        together = [await batched(one), await batched(one, writes=True)]
    assert alone["settings"] == {
        "statement_timeout": "1800",
        "lock_timeout": "1800",
        "application_name": "config-service",
        "plan_cache_mode": "auto",
        "enable_seqscan": "on",
    }
    of_batches = {
        "statement_timeout": str(int(2000 * STATEMENT)),
        "lock_timeout": str(int(2000 * LOCK)),
        "application_name": "config-service batches",
        # Planned once, to find rows by their ids.
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
    }
    assert together == [of_batches] * 2


async def test_what_a_transaction_pooler_would_break_goes_directly(
    engine: Callable[..., Engine], backend: Backend
) -> None:
    direct = make_dsn(backend.dsn, application_name="directly")
    async with engine(database_direct_url=direct).running() as one:
        await connected(one)
        [alone] = await one.pool.read(ALONE, {})
        assert alone["settings"]["application_name"] == "config-service"
        assert (await batched(one))["application_name"] == "directly"
        listening = "select count(*) from pg_stat_activity where query ~ '^listen'"
        listening += " and application_name = %s and datname = current_database()"
        await until(lambda: backend.query(listening, "directly") == [(1,)])


async def test_batches_are_asked_on_new_connections_once_the_server_is_a_standby(
    engine: Callable[..., Engine], backend: Backend
) -> None:
    sql = "select id, pg_backend_pid() from unnest(%(id)s::text[]) as id"
    pid = Statement(sql + " where %(confined_to)s::text is null", None, "")
    async with engine().running() as one:
        await connected(one)
        first = await one.reads.ask(pid, {"id": "A"})
        await one.pool.write("select testing.fails('25006', 1)", {})
        await one.reads.ask(pid, {"id": "A"})
        await until(lambda: one.reads._is_connected)
        assert await one.reads.ask(pid, {"id": "A"}) != first


async def test_a_version_differs_after_each_change_of_an_id_and_only_then(
    engine: Callable[..., Engine], backend: Backend, db: connection
) -> None:
    application, configuration, other = (f"{number:026}" for number in (1, 2, 3))
    changes = [
        ("insert into applications (id, name) values (%s, 'a')", [application], {application}),
        (
            "insert into configurations (id, application_id, name, config)"
            " values (%s, %s, 'c', '{}')",
            [configuration, application],
            {application, configuration},
        ),
        (
            "update configurations set config = '{\"a\": 1}' where id = %s",
            [configuration],
            {application, configuration},
        ),
        ("update applications set name = 'b' where id = %s", [application], {application}),
        (
            "delete from applications where id = %s",
            [application],
            {application, configuration},
        ),
    ]
    ids = [application, configuration, other]
    async with engine().running() as one:
        before = await one._versions(ids)
        for sql, values, changed in changes:
            backend.query(sql, *values)
            after = await one._versions(ids)
            assert {id for id in ids if after[id] != before[id]} == changed  # noqa: A001
            for id in ids:  # noqa: A001
                assert await one._versions([id]) == {id: after[id]}
            before = after
        assert await one._versions([]) == {}


@pytest.mark.parametrize(
    "failure", [refuse_in_latin_1, RuntimeError("can't start new thread")], ids=["text", "thread"]
)
async def test_whatever_ends_background_work_it_begins_again_and_requests_are_answered(
    engine: Callable[..., Engine],
    counts: Counts,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Any,
) -> None:
    fails, to_thread, tasks = True, asyncio.to_thread, list[str]()

    async def opening(*arguments: Any, **options: Any) -> Any:
        # Of the pool's connections it is the statement that fails, and is tried again.
        if fails and options.get("fallback_application_name") != "config-service":
            if isinstance(failure, Exception):
                raise failure
            failure()
        return await to_thread(*arguments, **options)

    def counting(name: str, labels: Any = (), amount: float = 1) -> None:
        tasks.extend(task for _, task in labels if name == "background_failures_total")

    monkeypatch.setattr(counts, "add", counting)
    monkeypatch.setattr(asyncio, "to_thread", opening)
    async with engine().running() as one:
        await until(lambda: all(tasks.count(task) > 2 for task in CONNECTING))
        assert (await batched(one))["application_name"] == "config-service"  # by the pool
        assert len(caplog.records) == len(CONNECTING)
        fails = False
        await connected(one)
        assert (await batched(one))["application_name"] == "config-service batches"
    assert set(tasks) == CONNECTING


async def test_where_the_first_host_is_silent_all_reach_the_second(
    engine: Callable[..., Engine], backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_SECONDS", 0.5)
    parts = parse_dsn(backend.dsn)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = {
            "host": f"127.0.0.1,{parts['host']}",
            "port": f"{silent.getsockname()[1]},{parts['port']}",
        }
        async with engine(make_dsn(backend.dsn, **hosts)).running() as one:
            alone = asyncio.create_task(one.pool.read(ALONE, {}))
            await connected(one)
            assert (await batched(one))["application_name"] == "config-service batches"
            assert len(await alone) == 1


async def test_at_the_end_nothing_is_left_of_it(
    engine: Callable[..., Engine], backend: Backend
) -> None:
    async with engine().running() as one:
        await connected(one)
        await one.pool.read(ALONE, {})
    left = "select count(*) from pg_stat_activity where application_name ~ '^config-service'"
    await until(lambda: backend.query(left + " and datname = current_database()") == [(0,)])
