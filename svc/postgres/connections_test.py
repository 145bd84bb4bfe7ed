import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection, make_dsn, parse_dsn

from config import Settings
from postgres import connections
from postgres.conftest import Backend, Counts, Proxy, refuse, refuse_in_latin_1, until
from postgres.connections import (
    by_host,
    connecting,
    execute,
    execute_undone,
    hung_up,
    in_order,
    open_async,
)
from postgres.errors import Lost

pytestmark = pytest.mark.anyio
ECHO = "select %(text)s as text"


def configured(**given: Any) -> Settings:
    return Settings(**{"_env_file": None, **given})


@asynccontextmanager
async def opened(dsn: str, **options: Any) -> AsyncIterator[connection]:
    with closing(await open_async(dsn, **options)) as one:
        yield one


async def test_a_connection_has_its_limits_its_role_and_the_options_of_the_dsn(
    backend: Backend,
) -> None:
    settings = configured(database_timeout_seconds=2, max_body_bytes=2048, history_keep_revisions=7)
    dsn = make_dsn(backend.dsn, options="-c work_mem=8MB")
    more = "-c enable_seqscan=off"
    connect = connecting(settings, dsn, "tests", statement=0.9, lock=0.0001, more=more)
    with closing(await connect()) as one:
        rows = await execute(one, Counts(), "select name, setting from pg_settings")
        found = {row["name"]: row["setting"] for row in rows}
        limit = "select current_setting('config_service.max_document_bytes') as bytes"
        assert await execute(one, Counts(), limit) == [{"bytes": "2048"}]
    expected = {
        "statement_timeout": "1800",
        "lock_timeout": "1",
        "idle_in_transaction_session_timeout": "1800",
        "TimeZone": "UTC",
        "work_mem": "8192",
        "enable_seqscan": "off",
        "application_name": "config-service tests",
    }
    assert {name: found[name] for name in expected} == expected
    assert connect.keywords["tcp_user_timeout"] == 1800
    assert "history_keep_revisions=7" in connect.keywords["options"]


async def test_an_idle_connection_has_hung_up_once_the_server_closed_it(backend: Backend) -> None:
    async with opened(backend.dsn) as one:
        assert not hung_up(one)
        backend.end(one.info.backend_pid)
        await until(lambda: hung_up(one))


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("dbname=d", [("", "")]),
        ("host=a dbname=d", [("a", "")]),
        ("host=a,b dbname=d", [("a", ""), ("b", "")]),
        ("host=a,b port=1 dbname=d", [("a", "1"), ("b", "1")]),
        ("postgresql://a:1,b:2/d", [("a", "1"), ("b", "2")]),
        ("host=/run/a,::1 port=1,2 dbname=d", [("/run/a", "1"), ("::1", "2")]),
    ],
)
def test_each_host_has_a_dsn_of_its_own(dsn: str, expected: list[tuple[str, str]]) -> None:
    parts = [parse_dsn(each) for each in by_host(dsn)]
    assert [(each.get("host", ""), each.get("port", "")) for each in parts] == expected
    assert {each["dbname"] for each in parts} == {"d"}


def test_each_address_has_the_name_of_its_host() -> None:
    parts = [parse_dsn(each) for each in by_host("host=a,b hostaddr=192.0.2.1,192.0.2.2")]
    found = [(each["host"], each["hostaddr"]) for each in parts]
    assert found == [("a", "192.0.2.1"), ("b", "192.0.2.2")]


def with_hosts(dsn: str, *ports: int) -> str:
    """The DSN with a host for each of these ports before its own."""
    parts = parse_dsn(dsn)
    hosts = ",".join([*("127.0.0.1" for _ in ports), parts["host"]])
    return make_dsn(dsn, host=hosts, port=",".join([*map(str, ports), parts["port"]]))


async def test_the_second_host_is_reached_where_the_first_is_dead_or_silent(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as dead:
        ports = [dead.getsockname()[1]]
    # It accepts, and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports.append(silent.getsockname()[1])
        async with opened(with_hosts(backend.dsn, *ports)) as one:
            assert one.info.port == int(parse_dsn(backend.dsn)["port"])


@pytest.mark.parametrize("refusal", [refuse, refuse_in_latin_1])
async def test_the_second_host_is_reached_however_the_first_refuses(
    backend: Backend, connecting: list[Callable[[], object]], refusal: Callable[[], object]
) -> None:
    connecting.append(refusal)
    async with opened(with_hosts(backend.dsn, 1)) as one:
        assert one.info.port == int(parse_dsn(backend.dsn)["port"])


async def test_what_the_last_host_failed_with_is_raised(
    connecting: list[Callable[[], object]],
) -> None:
    connecting += [refuse, refuse_in_latin_1]
    with pytest.raises(UnicodeDecodeError):
        await open_async("host=a,b")


async def test_a_host_that_is_silent_leaves_no_connection_behind(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_SECONDS", 0.3)
    made = list[connection]()

    class Watched(connection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(self)

    proxy.vanish()
    with pytest.raises(TimeoutError):
        await open_async(proxy.dsn, connection_factory=Watched)
    assert [one.closed for one in made] == [1]


async def test_everything_else_goes_on_while_a_connect_looks_the_host_up(
    backend: Backend, connecting: list[Callable[[], object]]
) -> None:
    found = threading.Event()
    connecting.append(lambda: found.wait(20))
    opening = asyncio.create_task(open_async(backend.dsn))
    await until(lambda: not connecting)
    assert not opening.done()
    found.set()
    (await opening).close()


async def test_a_statement_and_its_answer_may_be_larger_than_the_socket_takes_at_once(
    backend: Backend, proxy: Proxy
) -> None:
    text = "x" * 20_000_000
    async with opened(proxy.dsn) as one:
        proxy.vanish()
        running = asyncio.create_task(execute(one, Counts(), ECHO, {"text": text}))
        await until(lambda: asyncio.get_running_loop().remove_writer(one.fileno()))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    async with opened(backend.dsn) as one:
        assert await execute(one, Counts(), ECHO, {"text": text}) == [{"text": text}]


async def test_a_connection_is_watched_only_while_it_is_waited_for(backend: Backend) -> None:
    loop = asyncio.get_running_loop()
    async with opened(backend.dsn) as one:
        assert await execute(one, Counts(), ECHO, {"text": "a"}) == [{"text": "a"}]
        assert not loop.remove_reader(one.fileno())
        assert not loop.remove_writer(one.fileno())
        with pytest.raises(psycopg2.errors.SyntaxError):
            await execute(one, Counts(), "selekt")
        assert not loop.remove_reader(one.fileno())
        running = asyncio.create_task(execute(one, Counts(), "select pg_sleep(20)"))
        await until(backend_is_busy(backend, one))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not loop.remove_reader(one.fileno())


def backend_is_busy(backend: Backend, one: connection) -> Callable[[], bool]:
    sql = "select pid from pg_stat_activity where pid = %s and wait_event = 'PgSleep'"
    return lambda: bool(backend.query(sql, one.info.backend_pid))


async def test_a_message_of_several_statements_gives_the_last_rows_and_holds_nobody_up(
    backend: Backend,
) -> None:
    backend.hold(1)
    sql = "select repeat('x', 100000); select 'held' as was from pg_advisory_xact_lock(1)"
    # Ends the test where libpq waits for the second statement instead of the event loop.
    async with opened(backend.dsn, options="-c lock_timeout=20s") as one:
        running = asyncio.create_task(execute(one, Counts(), sql))
        await until(backend.waiting)
        assert not running.done()
        backend.release(1)
        assert await running == [{"was": "held"}]


async def test_what_was_done_and_cannot_be_read_counts_as_lost(backend: Backend) -> None:
    note = "insert into testing.notes values ('done') returning '20000-01-01'::date"
    async with opened(backend.dsn) as one:
        with pytest.raises(Lost):
            await execute(one, Counts(), note)
    assert backend.query("select note from testing.notes") == [("done",)]


async def test_a_statement_that_runs_is_in_use_and_a_lost_connection_is_counted(
    backend: Backend, counts: Counts
) -> None:
    async with opened(backend.dsn) as one:
        running = asyncio.create_task(execute(one, counts, "select pg_sleep(20)"))
        await until(backend_is_busy(backend, one))
        assert counts.added["database_pool_in_use",] == 1
        backend.end(one.info.backend_pid)
        with pytest.raises(Lost):
            await running
    assert counts.added["database_pool_in_use",] == 0
    assert counts.added["database_errors_total", "none"] == 1


NOTED = "insert into testing.notes values (%(text)s) returning note"


async def test_what_is_undone_gives_its_rows_and_changes_nothing(backend: Backend) -> None:
    async with opened(backend.dsn) as one:
        assert await execute_undone(one, Counts(), NOTED, {"text": "a"}) == [{"note": "a"}]
        assert in_order(one)
        assert backend.query("select note from testing.notes") == []
        # The next statement is not undone with it.
        await execute(one, Counts(), NOTED, {"text": "a"})
    assert backend.query("select note from testing.notes") == [("a",)]


async def test_all_statements_of_a_message_are_undone_and_no_setting_stays(
    backend: Backend,
) -> None:
    actor = "current_setting('config_service.actor', true) as actor"
    sql = f"select set_config('config_service.actor', 'ann', true);{NOTED}, {actor}"
    async with opened(backend.dsn) as one:
        told = {"note": "a", "actor": "ann"}
        assert await execute_undone(one, Counts(), sql, {"text": "a"}) == [told]
        [left] = await execute(one, Counts(), f"select {actor}")
    assert not left["actor"]
    assert backend.query("select note from testing.notes") == []


async def test_what_is_undone_is_refused_alike_and_the_connection_stays_in_order(
    backend: Backend,
) -> None:
    backend.query("insert into testing.notes values ('taken')")
    async with opened(backend.dsn) as one:
        constraints = list[str | None]()
        for ask in (execute, execute_undone):
            with pytest.raises(psycopg2.errors.UniqueViolation) as raised:
                await ask(one, Counts(), NOTED, {"text": "taken"})
            constraints.append(raised.value.diag.constraint_name)
            assert in_order(one)
        with pytest.raises(ValueError, match="NUL"):
            await execute_undone(one, Counts(), NOTED, {"text": "\0"})
        assert in_order(one)
        assert await execute_undone(one, Counts(), NOTED, {"text": "b"}) == [{"note": "b"}]
    assert constraints == ["notes_note_key"] * 2


async def test_what_would_be_refused_at_the_end_of_the_transaction_is_refused_undone_too(
    backend: Backend,
) -> None:
    backend.query("alter table testing.notes add constraint late unique (note) initially deferred")
    backend.query("alter table testing.notes drop constraint notes_note_key")
    backend.query("insert into testing.notes values ('taken')")
    async with opened(backend.dsn) as one:
        for ask in (execute, execute_undone):
            with pytest.raises(psycopg2.errors.UniqueViolation):
                await ask(one, Counts(), NOTED, {"text": "taken"})
            assert in_order(one)


async def test_nobody_is_notified_of_what_is_undone(backend: Backend) -> None:
    notify = "select pg_notify('testing', %(text)s)"
    async with opened(backend.dsn) as listens, opened(backend.dsn) as one:
        await execute(listens, Counts(), "listen testing")
        await execute_undone(one, Counts(), notify, {"text": "tried"})
        await execute(one, Counts(), notify, {"text": "done"})

        def heard() -> list[str]:
            listens.poll()
            return [each.payload for each in listens.notifies]

        await until(heard)
        assert heard() == ["done"]


async def test_what_is_undone_and_cannot_be_read_leaves_the_connection_in_order(
    backend: Backend,
) -> None:
    async with opened(backend.dsn) as one:
        with pytest.raises(Lost):
            await execute_undone(one, Counts(), "select '20000-01-01'::date")
        assert in_order(one)


async def test_a_connection_that_is_lost_before_it_was_undone_counts_as_lost(
    backend: Backend, counts: Counts
) -> None:
    backend.hold(1)
    async with opened(backend.dsn) as one:
        sql = f"{NOTED}, pg_advisory_xact_lock(1)"
        running = asyncio.create_task(execute_undone(one, counts, sql, {"text": "a"}))
        await until(backend.waiting)
        backend.end(one.info.backend_pid)
        with pytest.raises(Lost):
            await running
        assert not in_order(one)
    assert backend.query("select note from testing.notes") == []
