"""What a process remembers is never given out where something else holds by now."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from psycopg2.extensions import connection

from conftest import Server

APPLICATIONS, CONFIGURATIONS = "/api/v1/applications", "/api/v1/configurations"


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
        made = instances[0].post(APPLICATIONS, json={"name": "billing"})
        self.application = made.json()["id"]
        self.paths = [self.make(name) for name in ("defaults", "eu")]

    def make(self, name: str) -> str:
        body = {"application_id": self.application, "name": name, "config": {name: 0}}
        return self.instances[0].post(CONFIGURATIONS, json=body).headers["Location"]

    def comment(self, client: httpx.Client, comments: str) -> None:
        """Changes the comments of the application."""
        body = {"name": "billing", "comments": comments}
        assert client.put(f"{APPLICATIONS}/{self.application}", json=body).status_code == 200

    def listed(self, client: httpx.Client) -> list[str]:
        """The comments of the second layer, or of the application, in each list that has them."""
        own = f"application_id={self.application}"
        queries = ("", own, "name=eu", f"{own}&name=eu")
        lists = [f"{CONFIGURATIONS}?{query}" for query in queries]
        lists += [f"{APPLICATIONS}?{query}" for query in ("", "name=billing")]
        rows = [row for path in lists for row in client.get(path).json()]
        return [row["comments"] for row in rows if row["name"] in ("eu", "billing")]

    def reads(self, number: int) -> dict[str, Callable[[httpx.Client], Any]]:
        """What is asked again and again, and what of its answer shows the state `number`."""
        config = "/api/v1/config?application=billing&name=defaults&name=eu"
        changes = f"{APPLICATIONS}/{self.application}/changes?limit=1000"
        return {
            "by id": lambda client: client.get(self.paths[1]).json()["config"] == {"eu": number},
            "merged": lambda client: client.get(config).json() == {"defaults": 0, "eu": number},
            "listed": lambda client: self.listed(client) == [f"state {number}"] * 6,
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
        team.comment(writer, f"state {number}")
        for client in instances:
            for _ in range(2):
                seen = {name: read(client) for name, read in team.reads(number).items()}
                assert seen == dict.fromkeys(seen, True)


# A restore to an earlier time, or a failover that lost commits: the database goes back to revision
# 1, and what is changed from there on gets the numbers that were given out before.
GO_BACK = """
    alter table applications disable trigger all;
    alter table configurations disable trigger all;
    alter table configuration_revisions disable trigger all;
    delete from configuration_revisions where revision > 1;
    update configurations set revision = 1, config = earlier.config, comments = null
    from configuration_revisions as earlier
    where earlier.configuration_id = configurations.id;
    update applications set revision = revision - 1, comments = null;
    alter table applications enable trigger all;
    alter table configurations enable trigger all;
    alter table configuration_revisions enable trigger all
"""


def test_a_revision_number_that_is_given_out_again_after_a_restore_is_the_new_document(
    instances: list[httpx.Client], db: connection
) -> None:
    team = Team(instances)

    def change(value: int) -> None:
        body = {"name": "eu", "comments": f"state {value}", "config": {"eu": value}}
        assert instances[0].put(team.paths[1], json=body).headers["ETag"] == '"2"'
        team.comment(instances[0], f"state {value}")

    def seen(client: httpx.Client) -> list[Any]:
        config = "/api/v1/config?application=billing&name=eu"
        documents = [client.get(team.paths[1]).json()["config"], client.get(config).json()]
        return documents + team.listed(client)

    change(1)
    assert [seen(client) for client in instances] == [[{"eu": 1}] * 2 + ["state 1"] * 6] * 2
    with db.cursor() as cursor:
        cursor.execute(GO_BACK)
    change(2)
    assert [seen(client) for client in instances] == [[{"eu": 2}] * 2 + ["state 2"] * 6] * 2


def test_what_was_remembered_is_told_by_the_metrics(server: Server, api: httpx.Client) -> None:
    def told(name: str) -> float:
        lines = server.client.get("/metrics").text.splitlines()
        return sum(float(line.split()[1]) for line in lines if line.split()[0] == name)

    team = Team([api])
    lists = [f"{CONFIGURATIONS}?name=eu", f"{APPLICATIONS}?name=billing"]
    for path in (team.paths[0], *lists):
        before = told("answers_reused_total")
        assert len({api.get(path).text for _ in range(3)}) == 1
        assert told("answers_reused_total") == before + 2
    assert told("answers_remembered_bytes") > 0
