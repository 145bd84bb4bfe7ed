"""The times of an application's changes go on as their sequences do, whoever commits when."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import psycopg2
from psycopg2.extensions import connection

from conftest import PLAIN, Server, eventually

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
SHARED = [f"shared {number}" for number in range(10)]


class Crowd:
    """Clients of the service, and transactions of others that begin long before they change
    anything."""

    def __init__(self, server: Server, dsn: str) -> None:
        self.base, self.dsn = server.client.base_url, dsn
        self.owner = server.client.post(APPLICATIONS, json={"name": "owner"}).json()["id"]
        self.changes = 0
        self.over = threading.Event()

    def write(self, writer: int) -> None:
        """Creates, changes and deletes one of its own, and several that all share."""
        with httpx.Client(base_url=self.base, timeout=30, verify=PLAIN) as client:
            for turn in range(6):
                body = {"name": f"{writer}-{turn}", "config": {}}
                made = client.post(CONFIGURATIONS, json={**body, "application_id": self.owner})
                path = made.headers["location"]
                deleted, *changed = random.sample(SHARED, 4)
                items = {name: {"config": {"turn": turn}} for name in changed} | {deleted: None}
                answers = [
                    client.put(path, json={**body, "config": {"turn": turn}}),
                    client.patch(
                        f"{APPLICATIONS}/{self.owner}/content",
                        content=json.dumps({"configurations": items}),
                        headers={"Content-Type": "application/merge-patch+json"},
                    ),
                    client.delete(path),
                ]
                assert [answer.status_code for answer in answers] == [200, 200, 204]
                self.changes += 1

    def stay_open(self, number: int) -> None:
        """Transactions that others overtake; each notes when it began, and half of them come to
        nothing."""
        statements = [
            "update configurations set comments = now()::text",
            "delete from configurations",
        ]
        with closing(psycopg2.connect(self.dsn)) as db, db.cursor() as cursor:
            while not self.over.is_set():
                cursor.execute("select set_config('config_service.note', now()::text, true)")
                [more] = random.sample(range(1, 10), 1)
                later = self.changes + more
                eventually(lambda: self.changes >= later or self.over.is_set())  # noqa: B023
                cursor.execute(
                    f"{statements[number % 2]} where application_id = %s and name = %s",
                    [self.owner, *random.sample(SHARED, 1)],
                )
                self.over.wait(random.uniform(0, 0.02))  # noqa: S311
                random.sample([db.commit, db.rollback], 1)[0]()


def test_no_change_has_an_earlier_time_than_the_one_before_it(
    server: Server, dsn: str, db: connection
) -> None:
    crowd = Crowd(server, dsn)
    with ThreadPoolExecutor(36) as threads:
        open_ones = [threads.submit(crowd.stay_open, number) for number in range(20)]
        writing = [threads.submit(crowd.write, writer) for writer in range(16)]
        try:
            for one in writing:
                one.result()
        finally:
            crowd.over.set()
        for one in open_ones:
            one.result()
    with db.cursor() as cursor:
        cursor.execute(
            "select sequence, action, recorded_at, note::timestamptz from configuration_revisions"
            " where application_id = %s order by sequence",
            [crowd.owner],
        )
        changes = cursor.fetchall()
    assert [sequence for sequence, *_ in changes] == list(range(1, len(changes) + 1))
    assert {action for _, action, *_ in changes} == {"create", "update", "delete"}
    times = [recorded_at for *_, recorded_at, _ in changes]
    assert times == sorted(times)
    # Others have overtaken it: its own time is earlier than that of a change before it.
    begun = [at for *_, at in changes]
    overtaken = [at for before, at in zip(times, begun[1:], strict=False) if at and at < before]
    print(f"{len(changes)} changes, {len(overtaken)} of transactions that were overtaken")
    assert overtaken
