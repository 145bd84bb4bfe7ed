"""A program gets its configuration by name, in layers, and hears of changes."""

import itertools
import json
import re
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psycopg2
import pytest

from conftest import HAS_PROC, PLAIN, Postgres, Server, eventually, resident_kib, side_by_side
from postgres.listening import REFRESH_SECONDS

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
CONFIG = "/api/v1/config"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


class Team:
    """An application whose configurations are written and read by name."""

    def __init__(self, client: httpx.Client, name: str = "billing") -> None:
        self.client, self.name = client, name
        self.id = client.post(APPLICATIONS, json={"name": name}).json()["id"]
        self.paths = dict[str, str]()

    def write(self, name: str, config: Any) -> str:
        """Creates or replaces a configuration; returns its ETag."""
        if name in self.paths:
            body = {"name": name, "config": config}
            answer = self.client.put(self.paths[name], json=body)
        else:
            body = {"application_id": self.id, "name": name, "config": config}
            answer = self.client.post(CONFIGURATIONS, json=body)
            self.paths[name] = answer.headers["location"]
        assert answer.status_code in {200, 201}, answer.text
        tag: str = answer.headers["etag"]
        return tag

    def read(self, *names: str, headers: dict[str, str] | None = None, **query: Any) -> Any:
        """The answer of `/config` for these layers."""
        params = {"application": self.name, "name": list(names), **query}
        return self.client.get(CONFIG, params=params, headers=headers or {})


@pytest.fixture
def team(api: httpx.Client) -> Team:
    return Team(api)


# Layers


def test_a_program_gets_the_bare_document_by_names(team: Team) -> None:
    team.write("production", {"a": {"b": [1, 2]}})
    answer = team.read("production")
    assert answer.json() == {"a": {"b": [1, 2]}}
    assert answer.headers["cache-control"] == "private, no-cache"


def test_every_digit_comes_through_the_layers(team: Team) -> None:
    frame = f'{{"application_id": "{team.id}", "name": "%s", "config": %s}}'
    for name, text in [("a", '{"x": 1.10, "y": {"k": 1.0}}'), ("b", '{"y": {"l": 0.10}}')]:
        headers = {"Content-Type": "application/json"}
        team.client.post(CONFIGURATIONS, content=frame % (name, text), headers=headers)
    assert team.read("a", "b").text == '{"x": 1.10, "y": {"k": 1.0, "l": 0.10}}'


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merged(target.get(key), value)
    return target


LAYERS: dict[str, dict[str, Any]] = {
    "defaults": {"a": 1, "b": {"c": 1, "d": None}, "n": None, "l": [1, 2]},
    "eu": {"a": None, "b": {"c": None, "e": {"f": 1}}, "n": {"x": 1}},
    "production": {"b": {"e": {"g": 2}}, "l": {"m": 1}, "n": None},
    "empty": {},
    "scalar": {"b": "gone", "n": 5},
}


def test_every_order_of_layers_is_merged_from_left_to_right(team: Team) -> None:
    for name, config in LAYERS.items():
        team.write(name, config)
    for count in (1, 2, 3):
        for names in itertools.permutations(LAYERS, count):
            expected = LAYERS[names[0]]
            for name in names[1:]:
                expected = merged(expected, LAYERS[name])
            assert team.read(*names).json() == expected, names


def makers(names: tuple[str, ...], key: str) -> list[str]:
    """The layers that made the value of a top-level key, told step by step."""
    made: list[str] = []
    value: Any = None
    for name in names:
        if key not in LAYERS[name]:
            continue
        part = LAYERS[name][key]
        both_objects = isinstance(part, dict) and isinstance(value, dict)
        made = [*made, name] if both_objects else [name]
        value = merged(value, part) if name != names[0] else part
    return made


def test_an_explanation_says_which_layers_made_each_value(team: Team) -> None:
    for name, config in LAYERS.items():
        team.write(name, config)
    team.write("eu", LAYERS["eu"] | {"later": True})
    team.write("eu", LAYERS["eu"])
    for names in itertools.permutations(LAYERS, 3):
        plain, explained = team.read(*names), team.read(*names, explain="true")
        assert explained.json()["config"] == plain.json()
        assert explained.headers["etag"] != plain.headers["etag"]
        origin = explained.json()["origin"]
        found = {key: [one["name"] for one in layers] for key, layers in origin.items()}
        assert found == {key: makers(names, key) for key in plain.json()}, names
        revisions = {one["name"]: one["revision"] for layers in origin.values() for one in layers}
        assert all(revisions[name] == (3 if name == "eu" else 1) for name in revisions)


def test_a_layer_may_be_missing_only_where_it_is_optional(team: Team) -> None:
    team.write("defaults", {"a": 1})
    missing = team.read("defaults", "eu")
    assert missing.status_code == 404
    assert "“eu”" in missing.json()["detail"]
    assert team.read("defaults", "eu", optional="eu").json() == {"a": 1}
    assert team.read("eu", "us", optional=["eu", "us"]).json() == {}
    explained = team.read("eu", optional="eu", explain="true").json()
    assert explained == {"config": {}, "origin": {}}
    refused = team.read("defaults", optional="eu")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["parameter"] == "optional"
    unknown = team.client.get(CONFIG, params={"application": "nobody", "name": "defaults"})
    assert (unknown.status_code, "“nobody”" in unknown.json()["detail"]) == (404, True)


@pytest.mark.parametrize(
    "query", ["", "application=billing", "name=a", "application=billing&application=b&name=a"]
)
def test_a_config_needs_one_application_and_a_name(api: httpx.Client, query: str) -> None:
    assert api.get(f"{CONFIG}?{query}").status_code == 400


@pytest.mark.parametrize(
    "name",
    ["with space", "a/b", 'a"b', "100%", "a&b=c", "%2F", "ü\U0001f600", "'; drop", "a+b", "#"],
)
def test_a_name_may_hold_any_character(api: httpx.Client, name: str) -> None:
    team = Team(api, name)
    team.write(name, {"name": name})
    team.write("other", {"other": 1})
    assert team.read(name, "other").json() == {"name": name, "other": 1}


def test_the_etag_covers_every_layer(team: Team) -> None:
    team.write("defaults", {"a": 1})
    team.write("eu", {"b": 1})
    seen = [team.read("defaults", "eu").headers["etag"]]
    assert team.read("defaults", "eu", headers={"If-None-Match": seen[0]}).status_code == 304
    team.write("defaults", {"a": 2})
    seen.append(team.read("defaults", "eu").headers["etag"])
    team.write("eu", {"b": 2})
    seen.append(team.read("defaults", "eu").headers["etag"])
    seen.append(team.read("eu", "defaults").headers["etag"])
    seen.append(team.read("eu").headers["etag"])
    assert len(set(seen)) == len(seen)


# Watching


def wait(tag: str, seconds: int = 30) -> dict[str, str]:
    return {"If-None-Match": tag, "Prefer": f"wait={seconds}"}


@contextmanager
def watching(
    look: Callable[[], httpx.Response], through: httpx.Client
) -> Iterator[Future[httpx.Response]]:
    """A request that waits in the background, and has begun to when the block begins."""
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(look)
        eventually(lambda: answer.done() or waiting(through) == 1)
        assert not answer.done()
        yield answer


def waiting(client: httpx.Client) -> int:
    """How many watchers the service counts."""
    return int(re.findall(r"^watchers (\d+)$", client.get("/metrics").text, re.M)[0])


def test_a_watcher_of_a_configuration_gets_the_change(team: Team) -> None:
    tag = team.write("production", {"a": 1})
    path = team.paths["production"]
    with watching(lambda: team.client.get(path, headers=wait(tag)), team.client) as answer:
        new = team.write("production", {"a": 2})
        result = answer.result(10)
    assert (result.status_code, result.json()["config"]) == (200, {"a": 2})
    assert result.headers["etag"] == new
    assert result.headers["preference-applied"] == "wait=30"


def test_a_watcher_of_layers_gets_a_change_of_any(team: Team) -> None:
    team.write("defaults", {"a": 1})
    tag = team.read("defaults", "eu", optional="eu").headers["etag"]
    look = lambda: team.read("defaults", "eu", optional="eu", headers=wait(tag))  # noqa: E731
    with watching(look, team.client) as answer:
        team.write("unrelated", {})
        team.write("eu", {"b": 1})
        assert answer.result(10).json() == {"a": 1, "b": 1}


def test_a_wait_in_vain_ends_with_a_304(team: Team) -> None:
    team.write("production", {})

    def look(path: str) -> None:
        tag = team.client.get(path).headers["etag"]
        answer = team.client.get(path, headers=wait(tag, 1))
        assert answer.status_code == 304
        assert (answer.headers["etag"], answer.headers["preference-applied"]) == (tag, "wait=1")

    with ThreadPoolExecutor() as clients:
        paths = [team.paths["production"], f"{CONFIG}?application=billing&name=production"]
        list(clients.map(look, paths))


def test_who_is_behind_does_not_wait(team: Team) -> None:
    old = team.write("production", {"a": 1})
    team.write("production", {"a": 2})
    path = team.paths["production"]
    for headers in [wait(old), {"Prefer": "wait=30"}]:
        answer = team.client.get(path, headers=headers, timeout=5)
        assert answer.status_code == 200
        assert answer.headers["preference-applied"] == "wait=30"
    assert "preference-applied" not in team.client.get(path).headers


def test_head_and_any_do_not_wait(team: Team) -> None:
    tag = team.write("production", {})
    path = team.paths["production"]
    assert team.client.head(path, headers=wait(tag), timeout=5).status_code == 304
    assert team.client.get(path, headers=wait("*"), timeout=5).status_code == 304


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=0", "wait=0"),
        ('respond-async, WAIT="1"', "wait=1"),
        ("wait = 1; foo=bar", "wait=1"),
        ("wait=99999", "wait=60"),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait", None),
        ("waits=1", None),
        ("wait=" + "9" * 40, None),
    ],
)
def test_a_preference_is_read_as_rfc_7240_says(
    team: Team, prefer: str, applied: str | None
) -> None:
    team.write("production", {})
    answer = team.client.get(team.paths["production"], headers={"Prefer": prefer})
    assert answer.status_code == 200
    assert answer.headers.get("preference-applied") == applied


@pytest.mark.parametrize("ending", ["delete", "rename", "delete application", "rename application"])
def test_what_is_gone_by_its_name_ends_the_wait_with_a_404(team: Team, ending: str) -> None:
    team.write("production", {})
    tag = team.read("production").headers["etag"]
    path, application = team.paths["production"], f"{APPLICATIONS}/{team.id}"
    with watching(lambda: team.read("production", headers=wait(tag)), team.client) as answer:
        match ending:
            case "delete":
                team.client.delete(path)
            case "rename":
                team.client.put(path, json={"name": "other", "config": {}})
            case "delete application":
                team.client.delete(application)
            case "rename application":
                team.client.put(application, json={"name": "other"})
        assert answer.result(10).status_code == 404


def test_a_change_between_two_requests_is_not_missed(team: Team) -> None:
    """A watcher follows a writer that never pauses: in the end it has the last document."""
    tag = team.write("production", {"n": 0})
    seen = list[int]()

    def write() -> None:
        for n in range(1, 101):
            team.write("production", {"n": n})

    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(write)
        while not seen or seen[-1] < 100:
            answer = team.client.get(team.paths["production"], headers=wait(tag), timeout=40)
            assert answer.status_code == 200
            tag = answer.headers["etag"]
            seen.append(answer.json()["config"]["n"])
        writing.result()
    assert seen == sorted(set(seen))


@pytest.fixture(scope="module")
def small(dsn: str) -> Iterator[Server]:
    """Another instance, which takes one watcher, and lets it wait for at most 50 seconds."""
    server = Server(DATABASE_URL=dsn, MAX_WATCHERS="1", MAX_WAIT_SECONDS="50")
    with side_by_side(server):
        yield server


def test_a_change_through_one_instance_wakes_the_watchers_of_another(
    team: Team, small: Server
) -> None:
    tag = team.write("production", {"a": 1})
    path = team.paths["production"]
    with watching(lambda: small.client.get(path, headers=wait(tag)), small.client) as answer:
        team.write("production", {"a": 2})
        result = answer.result(10)
    assert (result.status_code, result.json()["config"]) == (200, {"a": 2})


def test_more_watchers_than_the_service_takes_are_turned_away(team: Team, small: Server) -> None:
    tag = team.write("production", {})
    path = team.paths["production"]
    with watching(lambda: small.client.get(path, headers=wait(tag, 60)), small.client) as answer:
        refused = small.client.get(path, headers=wait(tag))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        tag = team.write("production", {"a": 1})
        assert answer.result(10).headers["preference-applied"] == "wait=50"
    assert small.client.get(path, headers=wait(tag, 1)).status_code == 304


def test_a_watcher_that_hangs_up_makes_room(team: Team, small: Server) -> None:
    tag = team.write("production", {})
    path = team.paths["production"]
    for _ in range(5):
        watcher = raw_watcher(small, path, tag)
        eventually(lambda: waiting(small.client) == 1)
        watcher.close()
        eventually(lambda: waiting(small.client) == 0)
    assert not any("Traceback" in line for line in small.lines)


# Changes


def changes(team: Team, after: int = 0, **query: Any) -> dict[str, Any]:
    params = {"after": after, **query}
    answer = team.client.get(f"{APPLICATIONS}/{team.id}/changes", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_follower_reads_every_change_in_order(team: Team) -> None:
    team.write("a", {"n": 1})
    team.write("b", {})
    team.write("a", {"n": 2})
    team.client.delete(team.paths["b"])
    found = changes(team)
    steps = [(one["name"], one["revision"], one["action"]) for one in found["changes"]]
    expected = [("a", 1, "create"), ("b", 1, "create"), ("a", 2, "update"), ("b", 2, "delete")]
    assert steps == expected
    fields = ["sequence", "configuration_id", "name", "revision", "action", "actor", "recorded_at"]
    assert list(found["changes"][0]) == [*fields, "note", "transaction"]
    assert found["next"] == found["changes"][-1]["sequence"]
    assert changes(team, found["next"]) == {"changes": [], "next": found["next"]}
    first = changes(team, limit=3)
    assert len(first["changes"]) == 3
    assert changes(team, first["next"])["changes"] == found["changes"][3:]


def test_a_follower_waits_while_there_is_nothing_to_tell(team: Team) -> None:
    team.write("a", {})
    after = changes(team)["next"]
    path = f"{APPLICATIONS}/{team.id}/changes?after={after}"
    vain = team.client.get(path, headers={"Prefer": "wait=1"})
    assert (vain.status_code, vain.json()) == (200, {"changes": [], "next": after})
    look = lambda: team.client.get(path, headers={"Prefer": "wait=30"})  # noqa: E731
    with watching(look, team.client) as answer:
        team.write("b", {})
        assert [one["name"] for one in answer.result(10).json()["changes"]] == ["b"]
    for query in ["after=-1", "after=x", "limit=0"]:
        path = f"{APPLICATIONS}/{team.id}/changes?{query}"
        assert team.client.get(path).status_code == 400
    nowhere = f"{APPLICATIONS}/01ARZ3NDEKTSV4RRFFQ69G5FAV/changes"
    assert team.client.get(nowhere).status_code == 404


def test_no_change_is_skipped_however_many_commit_at_once(team: Team) -> None:
    names = [f"c{n}" for n in range(8)]
    for name in names:
        team.write(name, {})
    over = threading.Event()
    seen = list[tuple[str, int]]()

    def follow() -> None:
        after = 0
        while True:
            last = over.is_set()
            found = changes(team, after)
            seen.extend((one["name"], one["revision"]) for one in found["changes"])
            after = found["next"]
            if last and not found["changes"]:
                return

    def write(name: str) -> None:
        for n in range(30):
            team.write(name, {"n": n})

    with ThreadPoolExecutor(9) as clients:
        following = clients.submit(follow)
        list(clients.map(write, names))
        over.set()
        following.result()
    assert sorted(seen) == sorted((name, n) for name in names for n in range(1, 32))
    for name in names:
        assert [n for one, n in seen if one == name] == list(range(1, 32))


# Under faults


def watch_forever(servers: list[Server], path: str, over: threading.Event, seen: list[int]) -> None:
    """Follows one document through the instances in turn; keeps the revision of each answer."""
    tag, turn = '"0"', 0
    with httpx.Client(timeout=20, verify=PLAIN) as client:
        while not over.is_set():
            turn += 1
            url = servers[turn % len(servers)].client.base_url.join(path)
            with suppress(httpx.TransportError):
                answer = client.get(url, headers=wait(tag, 2))
                assert answer.status_code in {200, 304, 503}
                if answer.status_code == 200:
                    tag = answer.headers["etag"]
                    seen.append(int(tag.strip('"')))


def write_forever(servers: list[Server], path: str, over: threading.Event, number: int) -> None:
    with httpx.Client(timeout=20, verify=PLAIN) as client:
        turn = 0
        while not over.is_set():
            turn += 1
            url = servers[(number + turn) % len(servers)].client.base_url.join(path)
            with suppress(httpx.TransportError):
                body = {"config": {str(number): turn}}
                answer = client.patch(url, content=json.dumps(body), headers=MERGE_PATCH)
                assert answer.status_code in {200, 503}
            time.sleep(0.02)


def follow_forever(
    servers: list[Server], id: str, over: threading.Event, seen: list[tuple[str, int]]
) -> None:
    after, turn = 0, 0
    with httpx.Client(timeout=20, verify=PLAIN) as client:
        while True:
            turn += 1
            last = over.is_set()
            path = f"{APPLICATIONS}/{id}/changes?after={after}&limit=1000"
            url = servers[turn % len(servers)].client.base_url.join(path)
            with suppress(httpx.TransportError):
                answer = client.get(url, headers={"Prefer": "wait=1"})
                assert answer.status_code in {200, 503}
                if answer.status_code == 200:
                    found = answer.json()
                    after = found["next"]
                    seen += [(one["configuration_id"], one["revision"]) for one in found["changes"]]
                    if last and not found["changes"]:
                        return


def kill_listeners(postgres: Postgres) -> None:
    with suppress(psycopg2.Error), postgres.connect() as db, db.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'config-service listener'"
        )


@pytest.mark.faults
def test_no_change_is_skipped_or_told_twice_under_faults(
    postgres: Postgres, seconds: float
) -> None:
    servers = [Server(DATABASE_URL=postgres.dsn) for _ in range(2)]
    with side_by_side(*servers):
        team = Team(servers[0].client)
        for name in "abcd":
            team.write(name, {})
        over, written = threading.Event(), threading.Event()
        watched: dict[str, list[int]] = {path: [] for path in team.paths.values()}
        followed = list[tuple[str, int]]()
        with ThreadPoolExecutor(16) as clients:
            writers = [
                clients.submit(write_forever, servers, path, written, number)
                for number, path in enumerate([*watched, *watched])
            ]
            readers = [
                clients.submit(watch_forever, servers, path, over, seen)
                for path, seen in watched.items()
            ]
            readers.append(clients.submit(follow_forever, servers, team.id, over, followed))
            end, turn = time.monotonic() + seconds, 0
            while turn < 3 or time.monotonic() < end:
                enough = len(followed) + 20
                eventually(lambda: len(followed) >= enough)  # noqa: B023
                turn += 1
                kill_listeners(postgres)
                if turn % 3 == 1:
                    postgres.kill()
                    postgres.start()
                if turn % 3 == 2:
                    servers[1].kill()
                    servers[1].start()
            written.set()
            for one in writers:
                one.result()
            last = {path: team.client.get(path).headers["etag"] for path in watched}
            eventually(lambda: all(f'"{watched[path][-1]}"' == tag for path, tag in last.items()))
            over.set()
            for one in readers:
                one.result()
        with postgres.connect() as db, db.cursor() as cursor:
            cursor.execute(
                "select configuration_id, revision from configuration_revisions"
                " where application_id = %s order by sequence",
                (team.id,),
            )
            assert followed == cursor.fetchall()
        for path, seen in watched.items():
            assert seen == sorted(set(seen)), "a watcher went backwards"
            assert f'"{seen[-1]}"' == last[path]
        print(f"{turn} rounds of kills, {len(followed)} changes followed")


def raw_watcher(server: Server, path: str, tag: str) -> socket.socket:
    watcher = socket.create_connection(("127.0.0.1", server.port))
    watcher.sendall(
        f"GET {path} HTTP/1.1\r\nHost: x\r\n"
        f"If-None-Match: {tag}\r\nPrefer: wait=60\r\n\r\n".encode()
    )
    return watcher


@pytest.mark.faults
def test_a_crowd_of_watchers_costs_little_and_is_answered_at_once_by_a_change_or_the_end(
    postgres: Postgres, pytestconfig: pytest.Config
) -> None:
    crowd = int(pytestconfig.getoption("watchers"))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * crowd + 1000), hard))
    server = Server(DATABASE_URL=postgres.dsn, MAX_WATCHERS=str(crowd)).start()
    try:
        team = Team(server.client)
        tag = team.write("production", {"a": 1})
        path = team.paths["production"]

        before = resident_kib(server.process.pid)
        watchers = []
        for number in range(crowd):
            watchers.append(raw_watcher(server, path, tag))
            if number % 500 == 0:  # no faster than the service accepts them
                server.client.get("/health")
        eventually(lambda: waiting(server.client) == crowd)
        each = (resident_kib(server.process.pid) - before) / crowd
        begun = time.monotonic()
        assert server.client.get("/health").status_code == 200
        health = time.monotonic() - begun
        begun = time.monotonic()
        new = team.write("production", {"a": 2})
        for watcher in watchers:
            assert watcher.recv(4096).startswith(b"HTTP/1.1 200")
        woken = time.monotonic() - begun
        for watcher in watchers:
            watcher.close()
        print(
            f"{crowd} watchers: {each:.1f} KiB each, /health in {health * 1000:.0f} ms,"
            f" all woken in {woken:.2f} s"
        )
        if crowd >= 1000:  # a small crowd is lost in what the process allocates anyway
            assert each < 30
        last = [raw_watcher(server, path, new) for _ in range(min(crowd, 1000))]
        eventually(lambda: waiting(server.client) == len(last))
        begun = time.monotonic()
        server.process.terminate()
        for watcher in last:
            assert watcher.recv(4096).startswith(b"HTTP/1.1 304")
            watcher.close()
        server.process.wait(20)
        gone = time.monotonic() - begun
        print(f"{len(last)} watchers answered and the process gone in {gone:.2f} s")
        if not HAS_PROC:
            pytest.skip("memory was not looked at: there is no /proc")
    finally:
        if server.process.poll() is None:
            server.kill()
        server.client.close()


@pytest.mark.faults
def test_a_fleet_of_different_watchers_gets_one_change_and_none_is_turned_away(
    postgres: Postgres, pytestconfig: pytest.Config
) -> None:
    fleet = max(400, int(pytestconfig.getoption("watchers")))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * fleet + 1000), hard))
    server = Server(DATABASE_URL=postgres.dsn, MAX_WATCHERS=str(fleet)).start()
    over = threading.Event()

    def ask(path: str) -> tuple[float, Counter[int]]:
        """Asks again and again; the longest time that it took, and the statuses."""
        longest, statuses = 0.0, Counter[int]()
        with httpx.Client(base_url=server.client.base_url, timeout=30, verify=PLAIN) as client:
            while not over.wait(0.02):
                begun = time.monotonic()
                statuses[client.get(path).status_code] += 1
                longest = max(longest, time.monotonic() - begun)
        return longest, statuses

    try:
        team = Team(server.client)
        team.write("shared", {"a": 1})
        shared = f"/api/v1/config?application={team.name}&name=shared"
        tag = server.client.get(shared).headers["etag"]
        watchers = list[socket.socket]()
        for number in range(fleet):
            own = f"{shared}&name=own-{number}&optional=own-{number}"
            watchers.append(raw_watcher(server, own, tag))
            if number % 100 == 0:  # no faster than the service takes them in
                server.client.get("/health")
        eventually(lambda: waiting(server.client) == fleet)
        time.sleep(REFRESH_SECONDS + 1)  # a refresh wakes nobody, or the look would be a 503
        with ThreadPoolExecutor(2) as others:
            health, applications = others.submit(ask, "/health"), others.submit(ask, APPLICATIONS)
            begun = time.monotonic()
            team.write("shared", {"a": 2})
            answers = Counter[bytes]()
            for watcher in watchers:
                answers[watcher.makefile("rb").read(12)] += 1
            took = time.monotonic() - begun
            over.set()
        for watcher in watchers:
            watcher.close()
        print(
            f"{fleet} different watchers answered in {took:.1f} s, /health meanwhile within"
            f" {1000 * health.result()[0]:.0f} ms, a list within"
            f" {1000 * applications.result()[0]:.0f} ms"
        )
        assert answers == {b"HTTP/1.1 200": fleet}
        assert set(health.result()[1]) == set(applications.result()[1]) == {200}
        assert health.result()[0] < 2  # 0.2 s on an idle machine
    finally:
        over.set()
        server.stop()
