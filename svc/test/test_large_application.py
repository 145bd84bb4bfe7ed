"""An application of very many configurations goes as one, and everybody hears of it."""

import asyncio

import psycopg2
import pytest
from psycopg2.extensions import connection
from pydantic import SecretStr

import database
from config import Settings
from conftest import Server
from edge import metrics
from wire.changes import Change

OWNER, CONFIGURATION = f"01BRZ3NDEA{1:016}", "01BRZ3NDEC{:016}".format

# Without triggers, and so without history, to be quick: the deletion writes its own.
LOAD = """
    insert into applications (id, name) values (%(owner)s, 'large');
    alter table configurations disable trigger user;
    insert into configurations (id, application_id, name, config)
    select
        '01BRZ3NDEC' || lpad(i::text, 16, '0'), %(owner)s, i,
        jsonb_build_object('text', repeat(md5(i::text), %(bytes)s / 32))
    from generate_series(1, %(count)s) as i;
    alter table configurations enable trigger user;
"""


def test_an_application_of_200_000_configurations_of_1_kb_is_deleted(
    server: Server, db: connection
) -> None:
    count = 200_000
    with db.cursor() as cursor:
        cursor.execute(LOAD, {"owner": OWNER, "count": count, "bytes": 1000})
        assert server.client.delete(f"/api/v1/applications/{OWNER}").status_code == 204
        cursor.execute(
            "select action, revision, count(*) from configuration_revisions group by 1, 2"
        )
        assert cursor.fetchall() == [("delete", 2, count)]


def test_few_notifications_name_every_configuration_that_changed(dsn: str, db: connection) -> None:
    count = 2_000
    listener = psycopg2.connect(dsn)
    listener.autocommit = True
    with db.cursor() as cursor, listener.cursor() as listening:
        cursor.execute(LOAD, {"owner": OWNER, "count": count, "bytes": 0})
        listening.execute("listen changes")
        cursor.execute("delete from applications")
        listening.execute("select")  # brings what was notified before
    listener.close()
    payloads = [notification.payload for notification in listener.notifies]
    assert {payload.split()[0] for payload in payloads} == {OWNER}
    named = [changed for payload in payloads for changed in payload.split()[1:]]
    assert sorted(named) == [CONFIGURATION(n) for n in range(1, count + 1)]
    assert len(payloads) < count / 100


def test_a_session_that_has_changed_one_row_changes_very_many_by_a_plan_of_their_own(
    db: connection,
) -> None:
    count = 30_000
    with db.cursor() as cursor:
        cursor.execute(LOAD, {"owner": OWNER, "count": count, "bytes": 0})
        # Ends the test where the plan for one row, which takes minutes here, is kept.
        cursor.execute(
            "set statement_timeout = '30s'; set config_service.history_keep_revisions = 1"
        )
        for where in (f"id = '{CONFIGURATION(1)}'", "true", f"id = '{CONFIGURATION(2)}'"):
            cursor.execute(
                f"update configurations set comments = coalesce(comments, '') || 'x' where {where}"
            )
        cursor.execute("reset all")
        cursor.execute(
            "select revision, count(*) from configuration_revisions group by 1 order by 1"
        )
        assert cursor.fetchall() == [(2, count - 2), (3, 2)]


def test_a_write_may_take_several_time_outs_but_waits_no_longer_than_one_for_a_lock(
    dsn: str, db: connection
) -> None:
    async def write() -> None:
        settings = Settings(database_url=SecretStr(dsn), database_timeout_seconds=1)
        async with database.opened(settings, database.Caller, Change, metrics):
            with pytest.raises(database.Unavailable, match="took too long"):
                await database.write("select pg_sleep(2)")
            await database.write("select pg_sleep(2)", timeouts=10)
            began = asyncio.get_running_loop().time()
            with pytest.raises(database.Unavailable, match="took too long"):
                await database.write("select pg_advisory_xact_lock(1)", timeouts=10)
            assert asyncio.get_running_loop().time() - began < 5

    with db.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(1)")
        asyncio.run(write())
        cursor.execute("select pg_advisory_unlock(1)")
