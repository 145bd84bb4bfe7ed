"""The service while PostgreSQL is killed, frozen or cut off, and while clients come in crowds.

In `make test` each ends as soon as it has seen enough kills; `--seconds`, as `make test-faults`
sets it, makes it go on for so long.
"""

import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg2
import pytest
from psycopg2.extensions import cursor, make_dsn, parse_dsn

from conftest import (
    HAS_PROC,
    PLAIN,
    Postgres,
    Server,
    eventually,
    free_port,
    resident_kib,
    side_by_side,
)

pytestmark = pytest.mark.faults

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@contextmanager
def serving(dsn: str, **settings: Any) -> Iterator[Server]:
    environment = {name.upper(): str(value) for name, value in settings.items()}
    server = Server(DATABASE_URL=dsn, **environment)
    with side_by_side(server):
        yield server
    # Whatever happened: nothing of the DSN, and nothing of a document, is in the log.
    assert not any("canary" in line for line in server.lines)


@pytest.fixture(scope="module")
def shared(running_postgres: Postgres) -> Iterator[Server]:
    """One service for the tests that it outlives."""
    with serving(running_postgres.dsn) as server:
        yield server


@pytest.fixture
def service(postgres: Postgres, shared: Server) -> Server:
    """It is ready, whatever the test before did to its database."""
    eventually(lambda: ready(shared))
    return shared


@contextmanager
def ending(over: threading.Event) -> Iterator[None]:
    """It is over after the block, whatever happens: who goes on until then would never end."""
    try:
        yield
    finally:
        over.set()


def ready(server: Server) -> bool:
    return server.client.get("/health/ready").status_code == 200


def create(client: httpx.Client, name: str) -> httpx.Response:
    return client.post(APPLICATIONS, json={"name": name})


def test_after_a_restart_of_an_idle_database_the_next_requests_succeed(
    postgres: Postgres, service: Server
) -> None:
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda _: service.client.get(APPLICATIONS), range(40)))
    postgres.stop()
    postgres.start()
    answers = [service.client.get(APPLICATIONS).status_code for _ in range(50)]
    assert answers == [200] * 50


def test_a_service_that_starts_without_its_database_says_so_and_becomes_ready(
    postgres: Postgres,
) -> None:
    postgres.stop()
    with serving(postgres.dsn) as server:
        assert server.client.get("/health").status_code == 200
        answer = server.client.get("/health/ready")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        postgres.start()
        eventually(lambda: ready(server), patience=10)
        assert create(server.client, "x").status_code == 201
        assert any("not ready: connection to server" in line for line in server.lines)


def test_a_frozen_database_is_a_503_and_health_answers_meanwhile(postgres: Postgres) -> None:
    with serving(postgres.dsn, database_timeout_seconds=1) as server:
        assert create(server.client, "x").status_code == 201
        postgres.freeze()
        try:
            with ThreadPoolExecutor(12) as clients:
                waiting = [clients.submit(server.client.get, APPLICATIONS) for _ in range(12)]
                assert server.client.get("/health", timeout=1).status_code == 200
                answers = [one.result() for one in waiting]
            assert {answer.status_code for answer in answers} == {503}
            answer = create(server.client, "y")
            assert answer.status_code == 503
            assert server.client.get("/health/ready", timeout=4).status_code == 503
        finally:
            postgres.thaw()
        eventually(lambda: ready(server))
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda _: server.client.get(APPLICATIONS), range(40)))
        assert {answer.status_code for answer in answers} == {200}


def test_no_acknowledged_write_is_lost_when_the_database_is_killed(
    postgres: Postgres,
    service: Server,
    seconds: float,
    record_property: Callable[[str, object], None],
) -> None:
    acknowledged, unknown, statuses = set[str](), set[str](), list[int]()
    over = threading.Event()

    def write(writer: int) -> None:
        with httpx.Client(base_url=service.client.base_url, timeout=20, verify=PLAIN) as client:
            turn = 0
            while not over.is_set():
                name = f"{writer}-{turn}"
                turn += 1
                answer = create(client, name)
                statuses.append(answer.status_code)
                if answer.status_code == 201:
                    acknowledged.add(name)
                elif "unknown" in answer.json()["detail"]:
                    unknown.add(name)

    with ThreadPoolExecutor(8) as writers, ending(over):
        work = [writers.submit(write, number) for number in range(8)]
        kills, end = 0, time.monotonic() + seconds
        while kills < 3 or time.monotonic() < end:
            enough, failed = len(acknowledged) + 50, statuses.count(503)
            eventually(lambda: len(acknowledged) >= enough)  # noqa: B023
            postgres.kill()
            kills += 1
            eventually(lambda: statuses.count(503) > failed)  # noqa: B023
            postgres.start()
        eventually(lambda: ready(service))
        over.set()
        for one in work:
            one.result()
        with closing(postgres.connect()) as db, db.cursor() as cursor:
            cursor.execute("select name, count(*) from applications group by name")
            kept = dict(cursor.fetchall())
    record_property("kills", kills)
    print(f"{kills} kills, {len(acknowledged)} acknowledged, {len(unknown)} unknown")
    assert set(statuses) <= {201, 503}
    assert len(acknowledged) > 0
    assert acknowledged <= kept.keys()
    assert kept.keys() <= acknowledged | unknown
    assert set(kept.values()) == {1}


class Contention:
    """Editors that read a document, and change it if it is still what they read."""

    def __init__(self, servers: list[Server], documents: int) -> None:
        self.bases = [server.client.base_url for server in servers]
        self.over = threading.Event()
        self.paths = list[str]()
        client = servers[0].client
        for number in range(documents):
            owner = create(client, f"owner {number}").json()["id"]
            body = {"application_id": owner, "name": "contended"}
            self.paths.append(client.post(CONFIGURATIONS, json=body).headers["location"])
        # For each document, the successful changes: from and to which revision, and the value.
        self.changes: list[list[tuple[int, int, str]]] = [[] for _ in self.paths]
        self.unknown = set[str]()

    def count(self) -> int:
        """How many changes were successful."""
        return sum(map(len, self.changes))

    def edit(self, editor: int) -> None:
        """Goes on, now through one instance and now through another, until it is over."""
        turn = 0
        with httpx.Client(timeout=20, verify=PLAIN) as client:
            while not self.over.is_set():
                turn += 1
                document = (editor + turn) % len(self.paths)
                base = self.bases[(editor + turn) % len(self.bases)]
                with suppress(httpx.TransportError):  # the instance is being killed
                    self._change(
                        client, base.join(self.paths[document]), document, f"{editor}-{turn}"
                    )

    def _change(self, client: httpx.Client, url: httpx.URL, document: int, value: str) -> None:
        found = client.get(url)
        if found.status_code != 200:
            assert found.status_code == 503
            return
        tag = found.headers["etag"]
        body = {"name": "contended", "config": {"value": value, "secret": "canary"}}
        self.unknown.add(value)
        answer = client.put(url, json=body, headers={"If-Match": tag})
        assert answer.status_code in {200, 412, 503}, answer.text
        if answer.status_code == 503 and "unknown" in answer.json()["detail"]:
            return
        self.unknown.remove(value)
        if answer.status_code == 200:
            new = answer.headers["etag"]
            self.changes[document].append((int(tag[1:-1]), int(new[1:-1]), value))


def test_compare_and_set_makes_one_unforked_chain_under_faults(
    postgres: Postgres, service: Server, seconds: float
) -> None:
    with serving(postgres.dsn) as other:
        contention = Contention([service, other], documents=5)
        kills = 0
        with ThreadPoolExecutor(16) as editors, ending(contention.over):
            work = [editors.submit(contention.edit, number) for number in range(16)]
            end = time.monotonic() + seconds
            while kills < 5 or time.monotonic() < end:
                enough = contention.count() + 50
                eventually(lambda: contention.count() >= enough)  # noqa: B023
                for victim in (postgres, other) if kills % 4 else (postgres,):
                    victim.kill()
                    victim.start()
                    kills += 1
            contention.over.set()
            for done in work:
                done.result()
    with closing(postgres.connect()) as db, db.cursor() as cursor:
        for path, made in zip(contention.paths, contention.changes, strict=True):
            cursor.execute(
                "select revision, config ->> 'value' from configuration_revisions"
                " where configuration_id = %s order by revision",
                (path.rpartition("/")[2],),
            )
            history = dict(cursor.fetchall())
            assert list(history) == list(range(1, len(history) + 1))
            assert all(new == old + 1 for old, new, _ in made)
            assert len({new for _, new, _ in made}) == len(made)
            assert all(history[new] == value for _, new, value in made)
            confirmed = {value for _, _, value in made}
            assert set(history.values()) <= confirmed | contention.unknown | {None}
    changes = contention.count()
    print(f"{kills} kills, {changes} successful changes, {len(contention.unknown)} unknown")
    assert changes > 0


class Change(NamedTuple):
    """A change of the content: `wanted` are created or changed, `unwanted` are deleted where they
    are there."""

    wanted: set[str]
    unwanted: set[str]

    def may_have_changed(self, names: set[str]) -> bool:
        """Whether these are what it changes as a whole."""
        return self.wanted <= names <= self.wanted | self.unwanted


class Storm:
    """Writers of many configurations at once beside writers of single ones, of the same names."""

    names = tuple(f"n{number}" for number in range(12))

    def __init__(self, servers: list[Server]) -> None:
        self.bases = [server.client.base_url for server in servers]
        self.over = threading.Event()
        self.owner = create(servers[0].client, "owner").json()["id"]
        self.path = f"{APPLICATIONS}/{self.owner}"
        # The changes of the content by their notes: what the answer said was done, and what may
        # have been done.
        self.acknowledged = dict[str, dict[str, Any]]()
        self.unknown = dict[str, Change]()
        self.singles = 0
        # Each 503: when it was asked for, when it was answered, and what it said.
        self.refusals = list[tuple[float, float, str]]()

    def write(self, writer: int) -> None:
        """Goes on, now through one instance and now through another, until it is over."""
        kinds = [self.patch, self.patch, self.replace, self.patch] if writer < 8 else [self.single]
        turn = 0
        with self._clients() as clients:
            while not self.over.is_set():
                turn += 1
                client, kind = clients[(writer + turn) % len(clients)], kinds[turn % len(kinds)]
                kind(client, f"{writer}-{turn}")

    def follow(self, writing: list[Future[None]]) -> list[dict[str, Any]]:
        """All changes, by small pages that are read while they are made."""
        changes, turn = list[dict[str, Any]](), 0
        with self._clients() as clients:
            while True:
                turn += 1
                after = changes[-1]["sequence"] if changes else 0
                query = {"after": after, "limit": turn % 5 + 1}
                client, is_over = clients[turn % len(clients)], all(one.done() for one in writing)
                answer = self._ask(client, "GET", f"{self.path}/changes", params=query)
                if answer.status_code != 200:
                    continue
                page = answer.json()["changes"]
                assert not page or page[-1]["sequence"] == page[-1]["transaction"]
                changes += page
                if is_over and not page:
                    return changes

    def patch(self, client: httpx.Client, note: str) -> None:
        """Creates or changes three of them, and deletes two."""
        names = random.sample(self.names, 5)
        change = Change({*names[:3]}, {*names[3:]})
        items = dict.fromkeys(names) | {name: document(note) for name in change.wanted}
        headers = {"Content-Type": "application/merge-patch+json"}
        self._change(client, "PATCH", items, note, change, {}, headers)

    def replace(self, client: httpx.Client, note: str) -> None:
        """Creates or changes two of what there is now, and deletes one."""
        found = self._ask(client, "GET", f"{self.path}/content")
        if found.status_code == 200:
            items = found.json()["configurations"]
            names = random.sample(self.names, 3)
            change = Change({*names[:2]}, {*names[2:]} & {*items})
            items |= {name: document(note) for name in change.wanted}
            items = {name: item for name, item in items.items() if name not in change.unwanted}
            headers = {"Content-Type": "application/json", "If-Match": found.headers["etag"]}
            query = {"deletes": len(change.unwanted)}
            self._change(client, "PUT", items, note, change, query, headers)

    def _change(
        self,
        client: httpx.Client,
        method: str,
        items: dict[str, Any],
        note: str,
        change: Change,
        query: dict[str, int],
        headers: dict[str, str],
    ) -> None:
        self.unknown[note] = change
        answer = self._ask(
            client,
            method,
            f"{self.path}/content",
            content=json.dumps({"configurations": items}),
            params={**query, "note": note},
            headers=headers,
        )
        assert answer.status_code in {200, 412, 503}, answer.text
        if answer.status_code == 503 and "unknown" in answer.json()["detail"]:
            return
        del self.unknown[note]
        if answer.status_code == 200:
            self.acknowledged[note] = answer.json()
            assert change.may_have_changed({one["name"] for one in answer.json()["changes"]})

    def single(self, client: httpx.Client, value: str) -> None:
        """Changes or deletes one of them, or creates it where it is not there."""
        [name] = random.sample(self.names, 1)
        member = {"name": name, **document(value)}
        query = {"application_id": self.owner, "name": name}
        found = self._ask(client, "GET", CONFIGURATIONS, params=query)
        if found.status_code != 200:
            return
        options: dict[str, Any] = {}
        if found.json():
            path = f"{CONFIGURATIONS}/{found.json()[0]['id']}"
            [method] = random.sample(["PUT", "PATCH", "DELETE"], 1)
        else:
            path, method = CONFIGURATIONS, "POST"
            member["application_id"] = self.owner
        if method == "PATCH":
            options["headers"] = {"Content-Type": "application/merge-patch+json"}
        if method != "DELETE":
            options["json"] = member
        answer = self._ask(client, method, path, **options)
        assert answer.status_code in {200, 201, 204, 404, 409, 503}, answer.text
        self.singles += answer.is_success

    def _ask(self, client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
        began = time.monotonic()
        answer = client.request(method, path, **options)
        if answer.status_code == 503:
            self.refusals.append((began, time.monotonic(), answer.json()["detail"]))
        return answer

    @contextmanager
    def _clients(self) -> Iterator[list[httpx.Client]]:
        """One for each instance."""
        with ExitStack() as stack:
            made = (httpx.Client(base_url=base, timeout=30, verify=PLAIN) for base in self.bases)
            yield [stack.enter_context(one) for one in made]


def document(value: str) -> dict[str, Any]:
    return {"config": {"value": value, "secret": "canary"}}


def deadlocks(server: Server) -> int:
    """How many statements of the service PostgreSQL has given up in a deadlock."""
    metric = r'^database_errors_total{sqlstate="40P01"} (\d+)'
    return sum(map(int, re.findall(metric, server.client.get("/metrics").text, re.MULTILINE)))


def test_changes_of_many_are_whole_beside_single_ones_and_no_deadlock_is_answered_under_faults(
    postgres: Postgres, service: Server, seconds: float
) -> None:
    with serving(postgres.dsn) as other:
        instances = [service, other]
        before = sum(map(deadlocks, instances))
        storm, away = Storm(instances), list[tuple[float, float]]()
        with ThreadPoolExecutor(17) as crowd, ending(storm.over):
            writing = [crowd.submit(storm.write, writer) for writer in range(16)]
            following = crowd.submit(storm.follow, writing)
            end = time.monotonic() + seconds
            while len(away) < 2 or time.monotonic() < end:
                many, single = len(storm.acknowledged) + 30, storm.singles + 30
                eventually(lambda: len(storm.acknowledged) >= many and storm.singles >= single)  # noqa: B023
                began = time.monotonic()
                postgres.kill()
                postgres.start()
                eventually(lambda: all(map(ready, instances)))
                away.append((began, time.monotonic()))
            storm.over.set()
            for one in writing:
                one.result()
            changes = following.result()
        content = service.client.get(f"{storm.path}/content")
        retried = sum(map(deadlocks, instances)) - before
    print(
        f"{len(away)} kills, {len(storm.acknowledged)} changes of many, {storm.singles} of one,"
        f" {len(storm.unknown)} unknown, {retried} deadlocks"
    )
    # Who asks while PostgreSQL is there is served: neither a deadlock nor a lock reaches him.
    assert not [
        (began, ended, why)
        for began, ended, why in storm.refusals
        if not any(began < back and gone < ended for gone, back in away)
    ]

    assert [one["sequence"] for one in changes] == list(range(1, len(changes) + 1))
    times = [one["recorded_at"] for one in changes]
    assert times == sorted(times)
    made = dict[str, dict[str, Any]]()
    for last, transaction in groupby(changes, itemgetter("transaction")):
        together = list(transaction)
        assert together[-1]["sequence"] == last
        [note] = {one["note"] for one in together}
        if note:
            assert note not in made
            made[note] = {one["name"]: (last, one["action"], one["revision"]) for one in together}
    for note, done in storm.acknowledged.items():
        said = {
            one["name"]: (done["sequence"], one["action"], one["revision"])
            for one in done["changes"]
        }
        assert made.pop(note, {}) == said
    assert all(storm.unknown[note].may_have_changed({*names}) for note, names in made.items())

    replayed = dict[str, dict[str, Any]]()
    with closing(postgres.connect()) as db, db.cursor() as cursor:
        cursor.execute(
            "select name, action, revision, comments, config from configuration_revisions"
            " where application_id = %s order by sequence",
            [storm.owner],
        )
        for name, action, *state in cursor:
            assert (name in replayed) == (action != "create")
            replayed[name] = dict(zip(("revision", "comments", "config"), state, strict=True))
            if action == "delete":
                del replayed[name]
    assert content.json() == {"sequence": len(changes), "configurations": replayed}


class Cutter:
    """A TCP proxy before PostgreSQL that swallows the next `armed` answers, and cuts there.

    It spares connections that do not present themselves by the name `of`.
    """

    def __init__(self, dsn: str, of: str = "config-service") -> None:
        parts = parse_dsn(dsn)
        self._target = (parts["host"], int(parts["port"]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = make_dsn(dsn, port=self._listener.getsockname()[1], sslmode="disable")
        self._name = b"\0%s\0" % of.encode()
        self.armed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pump, args=[client], daemon=True).start()

    def _pump(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            presented = client.recv(65536)
            server.sendall(presented)
            meant = self._name in presented
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is server and meant and self.armed:
                        self.armed -= 1
                        return
                    (server if source is client else client).sendall(data)

    def close(self) -> None:
        self._listener.close()


def test_a_write_whose_confirmation_is_cut_off_is_unknown_and_not_repeated(
    postgres: Postgres,
) -> None:
    with closing(Cutter(postgres.dsn)) as cutter, serving(cutter.dsn) as server:
        eventually(lambda: ready(server))
        for turn in range(5):
            cutter.armed = 1
            answer = create(server.client, f"cut {turn}")
            assert cutter.armed == 0
            assert answer.status_code == 503
            assert "unknown" in answer.json()["detail"]
            assert create(server.client, f"whole {turn}").status_code == 201
    with closing(postgres.connect()) as db, db.cursor() as cursor:
        cursor.execute("select count(*), count(distinct name) from applications")
        assert cursor.fetchone() == (10, 10)


def test_what_is_cut_off_while_it_is_asked_for_together_is_unknown_or_repeated(
    postgres: Postgres,
) -> None:
    name = "config-service batches"
    with (
        closing(Cutter(postgres.dsn, name)) as cutter,
        closing(postgres.connect()) as db,
        db.cursor() as cursor,
    ):
        cursor.execute("select array_agg(pid) from pg_stat_activity")
        [(others,)] = cursor.fetchall()
        with serving(cutter.dsn) as server:
            owner = create(server.client, "owner").json()["id"]
            made = {"application_id": owner, "name": "production"}
            path = server.client.post(CONFIGURATIONS, json=made).headers["location"]

            def replace(config: dict[str, int]) -> httpx.Response:
                return server.client.put(path, json={"name": "production", "config": config})

            def gathers() -> bool:
                assert replace({}).status_code == server.client.get(path).status_code == 200
                cursor.execute(
                    "select count(*) from pg_stat_activity"
                    " where application_name = %s and query like 'execute%%' and pid <> all(%s)",
                    [name, others],
                )
                return cursor.fetchone() == (2,)

            for turn in range(3):
                eventually(gathers)
                cutter.armed = 1
                answer = replace({"turn": turn})
                assert (cutter.armed, answer.status_code) == (0, 503)
                assert "unknown" in answer.json()["detail"]
                assert server.client.get(path).json()["config"] == {"turn": turn}
                eventually(gathers)
                cutter.armed = 1
                assert server.client.get(path).status_code == 200
                assert cutter.armed == 0
        cursor.execute(
            "select config ->> 'turn' from configuration_revisions where config ? 'turn' order by 1"
        )
        assert [turn for (turn,) in cursor.fetchall()] == ["0", "1", "2"]


def test_a_read_that_is_cut_off_is_repeated(postgres: Postgres) -> None:
    with closing(Cutter(postgres.dsn)) as cutter, serving(cutter.dsn) as server:
        eventually(lambda: ready(server))
        cutter.armed = 1
        # Neither is it read in a batch, nor is there anything of it.
        assert server.client.get(f"{CONFIGURATIONS}/{NOWHERE}/revisions").status_code == 404
        assert cutter.armed == 0


def asking(server: Server, path: str) -> socket.socket:
    """A client that has sent a request."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def test_a_crowd_is_answered_or_turned_away_but_never_failed(postgres: Postgres) -> None:
    with serving(postgres.dsn, database_pool_size=4, database_queue_size=64) as server:
        with closing(postgres.connect()) as db, db.cursor() as cursor, ExitStack() as stack:
            # Nobody can read meanwhile, so that the crowd really gathers.
            cursor.execute("begin; lock table applications in access exclusive mode")
            # Each reads something else: who reads the same would share one place in the queue.
            pages = (f"{APPLICATIONS}?limit={number}" for number in range(1, 401))
            crowd = [stack.enter_context(asking(server, page)) for page in pages]
            select.select(crowd, [], [], 30)  # until the first is turned away
            cursor.execute("commit")
            found = {client.makefile("rb").read(12) for client in crowd}
        assert found == {b"HTTP/1.1 200", b"HTTP/1.1 503"}
        assert server.client.get(APPLICATIONS).status_code == 200


def test_clients_that_hang_up_leave_nothing_behind(postgres: Postgres, service: Server) -> None:
    before = len(service.lines)
    request = f"GET {APPLICATIONS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    upload = f"POST {APPLICATIONS} HTTP/1.1\r\nHost: x\r\n".encode()
    upload += b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    for turn in range(500):
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(upload if turn % 2 else request)
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda _: service.client.get(APPLICATIONS), range(100)))
    assert {answer.status_code for answer in answers} == {200}
    with closing(postgres.connect()) as db, db.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity where application_name = 'config-service'"
        )
        [(connections,)] = cursor.fetchall()
        assert 0 < connections <= 4
    assert not any("Traceback" in line or "unexpected" in line for line in service.lines[before:])


def waiting_for_locks(cursor: cursor) -> int:
    """How many locks are waited for in PostgreSQL."""
    cursor.execute("select count(*) from pg_locks where not granted")
    [(count,)] = cursor.fetchall()
    return int(count)


def listens(server: Server) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", server.port)):
        return True
    return False


def test_sigterm_lets_requests_in_flight_end_and_cuts_those_that_do_not(
    postgres: Postgres,
) -> None:
    with serving(postgres.dsn, shutdown_seconds=1) as server:
        made = create(server.client, "x").json()
        stalled = socket.create_connection(("127.0.0.1", server.port))
        stalled.sendall(
            f"POST {APPLICATIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 100\r\n\r\n{".encode()
        )
        with closing(postgres.connect()) as db, db.cursor() as cursor, stalled:
            cursor.execute("begin; select from applications for update")
            with ThreadPoolExecutor(1) as client:
                path = f"{APPLICATIONS}/{made['id']}"
                answer = client.submit(server.client.put, path, json={"name": "y"})
                eventually(lambda: waiting_for_locks(cursor) == 1)
                server.process.send_signal(signal.SIGTERM)
                eventually(lambda: not listens(server))
                cursor.execute("commit")
                assert answer.result().status_code == 200
            assert b" 503 " in stalled.recv(1000)
        server.process.wait(20)
        assert not any("Traceback" in line for line in server.lines)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"DATABASE_URL": "canary-secret"}, "config: DATABASE_URL: "),
        ({"MAX_BODY_BYTES": "lots"}, "config: MAX_BODY_BYTES: "),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(settings: dict[str, str], line: str) -> None:
    for command in [["uvicorn", "main:app", "--port", str(free_port())], ["migrations"]]:
        result = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=Path(__file__).parents[1],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert result.returncode == 1
        assert result.stderr.startswith(line)
        assert len(result.stderr.splitlines()) == 1
        assert "canary" not in result.stderr


def test_a_wrong_password_is_said_in_one_line_without_it(postgres: Postgres) -> None:
    wrong = make_dsn(postgres.dsn, password="canary-wrong")
    with serving(wrong) as server:
        eventually(lambda: any("not ready" in line for line in server.lines))
        assert server.client.get("/health").status_code == 200
        assert server.client.get(APPLICATIONS).status_code == 503
    said = "".join(server.lines)
    assert "password authentication failed" in said
    assert "canary" not in said
    assert "Traceback" not in said


def test_a_runner_killed_in_the_middle_is_completed_by_the_next(postgres: Postgres) -> None:
    with closing(postgres.connect()) as db, db.cursor() as cursor:
        for turn in range(3):
            cursor.execute("drop database if exists torn with (force)")
            cursor.execute("create database torn")
            dsn = make_dsn(postgres.dsn, dbname="torn")
            runner = subprocess.Popen(
                [sys.executable, "-m", "migrations"],
                cwd=Path(__file__).parents[1],
                env=os.environ | {"DATABASE_URL": dsn},
            )
            time.sleep(0.2 + 0.1 * turn)
            runner.kill()
            runner.wait()
            result = subprocess.run(
                [sys.executable, "-m", "migrations"],
                cwd=Path(__file__).parents[1],
                env=os.environ | {"DATABASE_URL": dsn},
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 0, result.stderr
            with closing(psycopg2.connect(dsn)) as torn, torn.cursor() as looking:
                looking.execute("select count(*) from migrations")
                files = list(Path(__file__).parents[1].glob("migrations/*.sql"))
                assert looking.fetchone() == (len(files),)


def footprint(server: Server) -> tuple[int, int]:
    """Resident memory in KiB, and open descriptors, of the service."""
    pid = server.process.pid
    return resident_kib(pid), len(os.listdir(f"/proc/{pid}/fd")) if HAS_PROC else 0


def test_memory_descriptors_and_connections_stay_flat_under_a_mixed_load(
    postgres: Postgres, service: Server, seconds: float
) -> None:
    over = threading.Event()
    done = [0]

    def load(number: int) -> None:
        with httpx.Client(base_url=service.client.base_url, timeout=30, verify=PLAIN) as client:
            owner = create(client, f"owner {number}").json()["id"]
            turn = 0
            while not over.is_set():
                turn += 1
                config = {"turn": turn, "text": "canary" * 200, "list": list(range(50))}
                body = {"application_id": owner, "name": f"n{turn}", "config": config}
                path = client.post(CONFIGURATIONS, json=body).headers["location"]
                client.get(path)
                client.put(path, json={"name": "again", "config": config})
                client.get(CONFIGURATIONS, params={"application_id": owner})
                client.post(APPLICATIONS, content="{", headers={"Content-Type": "application/json"})
                client.delete(path)
                done[0] += 6

    with ThreadPoolExecutor(4) as clients, ending(over):
        work = [clients.submit(load, number) for number in range(4)]
        samples = list[tuple[int, int]]()
        end = time.monotonic() + seconds
        while len(samples) < 40 or time.monotonic() < end:
            enough = done[0] + 24
            eventually(lambda: done[0] >= enough)  # noqa: B023
            samples.append(footprint(service))
        over.set()
        for one in work:
            one.result()
        with closing(postgres.connect()) as db, db.cursor() as cursor:
            cursor.execute(
                "select count(*) from pg_stat_activity where application_name = 'config-service'"
            )
            [(connections,)] = cursor.fetchall()
            assert 0 < connections <= 4
    half = samples[len(samples) // 2]
    print(f"{done[0]} requests; memory KiB and descriptors: {samples[0]} … {half} … {samples[-1]}")
    print(json.dumps(samples))
    assert samples[-1][0] < half[0] * 1.1 + 1024
    assert samples[-1][1] <= half[1] + 2
    if not HAS_PROC:
        pytest.skip("neither memory nor descriptors were looked at: there is no /proc")
