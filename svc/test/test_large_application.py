"""An application of very many configurations goes as one, and everybody hears of it."""

import psycopg2
from psycopg2.extensions import connection

from conftest import Server

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
