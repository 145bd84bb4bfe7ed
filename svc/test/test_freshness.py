"""What a process remembers is never given out where something else holds by now."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from psycopg2.extensions import connection

from conftest import Server

CONFIGURATIONS = "/api/v1/configurations"


@pytest.fixture
def instances(dsn: str, server: Server, db: connection) -> Iterator[list[httpx.Client]]:
    """Clients of two services on one database."""
    other = Server(DATABASE_URL=dsn).start()
    yield [server.client, other.client]
    other.stop()


class Team:
    """An application with two layers, read and changed by a random one of two services."""

    def __init__(self, instances: list[httpx.Client]) -> None:
        self.instances = instances
        made = instances[0].post("/api/v1/applications", json={"name": "billing"}).json()
        self.application = made["id"]
        self.paths = [self.make(name) for name in ("defaults", "eu")]

    def make(self, name: str) -> str:
        body = {"application_id": self.application, "name": name, "config": {name: 0}}
        return self.instances[0].post(CONFIGURATIONS, json=body).headers["Location"]

    def reads(self, number: int) -> dict[str, Callable[[httpx.Client], Any]]:
        """What is asked again and again, and what of its answer shows the state `number`."""
        config = "/api/v1/config?application=billing&name=defaults&name=eu"
        changes = f"/api/v1/applications/{self.application}/changes?limit=1000"
        named = f"{CONFIGURATIONS}?application_id={self.application}&name=eu"
        return {
            "by id": lambda client: client.get(self.paths[1]).json()["config"] == {"eu": number},
            "merged": lambda client: client.get(config).json() == {"defaults": 0, "eu": number},
            "listed": lambda client: client.get(named).json()[0]["comments"] == f"state {number}",
            "changes": lambda client: (
                client.get(changes).json()["changes"][-1]["revision"]
                == int(client.get(self.paths[1]).headers["ETag"].strip('"'))
            ),
        }


def test_each_read_sees_what_was_answered_before_it_through_every_instance(
    instances: list[httpx.Client],
) -> None:
    team = Team(instances)
    for number in range(1, 40):
        writer = instances[number % 2]
        body = {"comments": f"state {number}", "config": {"eu": number}}
        written = writer.patch(
            team.paths[1], json=body, headers={"Content-Type": "application/merge-patch+json"}
        )
        assert written.status_code == 200
        for client in instances:
            for _ in range(2):
                seen = {name: read(client) for name, read in team.reads(number).items()}
                assert seen == dict.fromkeys(seen, True)


# A restore to an earlier time, or a failover that lost commits: the database goes back to revision
# 1, and what is changed from there on gets the numbers that were given out before.
GO_BACK = """
    alter table configurations disable trigger all;
    alter table configuration_revisions disable trigger all;
    delete from configuration_revisions where revision > 1;
    update configurations set revision = 1, config = earlier.config, comments = null
    from configuration_revisions as earlier
    where earlier.configuration_id = configurations.id;
    alter table configurations enable trigger all;
    alter table configuration_revisions enable trigger all
"""


def test_a_revision_number_that_is_given_out_again_after_a_restore_is_the_new_document(
    instances: list[httpx.Client], db: connection
) -> None:
    team = Team(instances)

    def change(value: int) -> None:
        body = {"name": "eu", "config": {"eu": value}}
        assert instances[0].put(team.paths[1], json=body).headers["ETag"] == '"2"'

    def seen(client: httpx.Client) -> list[Any]:
        config = "/api/v1/config?application=billing&name=eu"
        return [client.get(team.paths[1]).json()["config"], client.get(config).json()]

    change(1)
    assert [seen(client) for client in instances] == [[{"eu": 1}, {"eu": 1}]] * 2
    with db.cursor() as cursor:
        cursor.execute(GO_BACK)
    change(2)
    assert [seen(client) for client in instances] == [[{"eu": 2}, {"eu": 2}]] * 2


def test_what_was_remembered_is_told_by_the_metrics(server: Server, api: httpx.Client) -> None:
    def told(name: str) -> float:
        lines = server.client.get("/metrics").text.splitlines()
        return sum(float(line.split()[1]) for line in lines if line.split()[0] == name)

    team = Team([api])
    before = told("answers_reused_total")
    for _ in range(3):
        assert json.loads(api.get(team.paths[0]).text)["config"] == {"defaults": 0}
    assert told("answers_reused_total") == before + 2
    assert told("answers_remembered_bytes") > 0
