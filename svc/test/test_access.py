"""Access, the log and the metrics of a running service."""

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg2.extensions import connection

from conftest import PLAIN, Server, eventually, free_port, side_by_side
from edge.tokens import hash_of
from test.test_hostile import get, raw

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
WRITER, READER, CONFINED, NAMED = (
    "writer-secret",
    "reader-secret",
    "confined-secret",
    "named-secret",
)
OWN_ID, OWN = f"01BRZ3NDEA{1:016}", "own / application: ü"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Guarded:
    """A service with tokens, and two applications with a configuration each."""

    def __init__(self, server: Server, db: connection) -> None:
        self.server, self.client = server, server.client
        self.own = self._make(db, OWN_ID, OWN)
        self.other = self._make(db, OWN_ID.replace("A", "B"), "other")

    @staticmethod
    def _make(db: connection, application: str, name: str) -> tuple[str, str]:
        configuration = application.replace("0", "1", 1)
        with db.cursor() as cursor:
            cursor.execute(
                "insert into applications (id, name) values (%s, %s)", (application, name)
            )
            cursor.execute(
                "insert into configurations (id, application_id, name, config)"
                " values (%s, %s, 'production', jsonb_build_object('of', %s::text))",
                (configuration, application, name),
            )
        return application, configuration

    def ask(self, token: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = bearer(token) | more.pop("headers", {})
        return self.client.request(method, path, headers=headers, **more)


@pytest.fixture(scope="module")
def guard(dsn: str) -> Iterator[Server]:
    """The one service with tokens, for all tests."""
    lines = [
        f"writer:write:{hash_of(WRITER.encode())}",
        f"reader:read:{hash_of(READER.encode()).upper()}",
        f"confined:write:{hash_of(CONFINED.encode())}:{OWN_ID}",
        f"named:write:{hash_of(NAMED.encode())}:{OWN}",
    ]
    server = Server(DATABASE_URL=dsn, API_TOKENS=",".join(lines))
    with side_by_side(server):
        yield server


@pytest.fixture(scope="module")
def closed(dsn: str) -> Iterator[Server]:
    """A service that shows neither its documentation nor its metrics, and logs text."""
    settings = {"DOCS_PUBLIC": "false", "METRICS_PUBLIC": "false", "LOG_FORMAT": "text"}
    tokens = f"reader:read:{hash_of(READER.encode())}"
    server = Server(DATABASE_URL=dsn, API_TOKENS=tokens, **settings)
    with side_by_side(server):
        yield server


@pytest.fixture
def guarded(guard: Server, db: connection) -> Guarded:
    return Guarded(guard, db)


# Access


def test_whoever_has_no_valid_token_learns_nothing(guarded: Guarded) -> None:
    for path in [
        APPLICATIONS,
        f"{APPLICATIONS}/",
        f"{APPLICATIONS}/{guarded.own[0]}",
        f"{CONFIGURATIONS}/{guarded.own[1]}",
        "/api/v1/config?application=other&name=production",
        "/api/v1/nothing",
        "/nothing",
        "/",
    ]:
        for headers in [
            {},
            bearer("wrong"),
            {"Authorization": "Bearer"},
            {"Authorization": "Basic eDp5"},
        ]:
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]:
                answer = guarded.client.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert guarded.own[0] not in answer.text


def test_what_is_open_needs_no_token(guarded: Guarded) -> None:
    for path in ["/health", "/health/", "/health/ready", "/docs", "/openapi.json", "/metrics"]:
        assert guarded.client.get(path).status_code == 200


def test_documentation_and_metrics_are_closed_where_the_settings_say_so(closed: Server) -> None:
    for path in ["/docs", "/docs/", "/openapi.json", "/metrics"]:
        assert closed.client.get(path).status_code == 401
        assert closed.client.get(path, headers=bearer(READER)).status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        get(APPLICATIONS, "Host: a/health?"),
        get(APPLICATIONS, "Host: x", "X-Forwarded-Prefix: /health"),
        get("//api/v1/applications"),
        get("/health/../api/v1/applications"),
        get("/api/v1/../health"),
        get("/health%2f..%2fapi%2fv1%2fapplications"),
        get("/HEALTH"),
        get("/API/V1/APPLICATIONS"),
        get("/health;/api/v1/applications"),
        get("/health?x#/api/v1/applications").replace(b"/health?x#", b"/healthx"),
        get("/health//"),
        get(APPLICATIONS, "Host: x", f"Authorization: Bearer {WRITER}", "Authorization: Bearer x"),
        get(APPLICATIONS, "Host: x", "Authorization: Bearer x", f"Authorization: Bearer {WRITER}"),
        get(APPLICATIONS, "Host: x", f"Authorization: {WRITER}"),
        get(APPLICATIONS, "Host: x", "Authorization: Bearer \xfc\xff"),
        get(APPLICATIONS, "Host: x", f"Authorization: Bearer {WRITER},"),
        get(APPLICATIONS, "Host: x", f"Authorization: Bearer {WRITER} x"),
        get(APPLICATIONS, "Host: x", f"Authorization: Bearer {hash_of(WRITER.encode())}"),
        get(f"{APPLICATIONS}?access_token={WRITER}"),
    ],
)
def test_there_is_no_way_around(guarded: Guarded, request_: bytes) -> None:
    assert raw(guarded.server, request_).split(b" ")[1] == b"401"


def test_the_scheme_is_read_in_any_case(guarded: Guarded) -> None:
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "]:
        headers = {"Authorization": f"{scheme} {WRITER}"}
        assert guarded.client.get(APPLICATIONS, headers=headers).status_code == 200


def test_a_reader_reads_and_writes_nothing(guarded: Guarded, db: connection) -> None:
    path = f"{CONFIGURATIONS}/{guarded.own[1]}"
    assert guarded.ask(READER, "GET", path).status_code == 200
    assert guarded.ask(READER, "HEAD", path).status_code == 200
    for method, target in [
        ("POST", APPLICATIONS),
        ("PUT", path),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/rollback"),
        ("POST", "/api/v1/nothing"),
    ]:
        answer = guarded.ask(READER, method, target, content=b"x" * 2_000_000)
        assert answer.status_code == 403, target
    assert guarded.ask(READER, "GET", "/api/v1/nothing").status_code == 404
    with db.cursor() as cursor:
        cursor.execute("select max(revision) from configuration_revisions")
        assert cursor.fetchone() == (1,)


@pytest.mark.parametrize("token", [CONFINED, NAMED])
def test_a_confined_token_sees_and_changes_nothing_of_other_applications(
    guarded: Guarded, db: connection, token: str
) -> None:
    own, other = guarded.own, guarded.other

    def status(method: str, path: str, **more: Any) -> int:
        return guarded.ask(token, method, path, **more).status_code

    body = {"name": "changed", "config": {}}
    attempts: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"{APPLICATIONS}/{other[0]}", {}),
        ("PUT", f"{APPLICATIONS}/{other[0]}", {"json": {"name": "changed"}}),
        ("DELETE", f"{APPLICATIONS}/{other[0]}", {}),
        ("GET", f"{APPLICATIONS}/{other[0]}/changes", {}),
        ("GET", f"{CONFIGURATIONS}/{other[1]}", {}),
        ("PUT", f"{CONFIGURATIONS}/{other[1]}", {"json": body}),
        ("PATCH", f"{CONFIGURATIONS}/{other[1]}", {"content": "{}", "headers": MERGE_PATCH}),
        ("DELETE", f"{CONFIGURATIONS}/{other[1]}", {}),
        ("GET", f"{CONFIGURATIONS}/{other[1]}/revisions", {}),
        ("GET", f"{CONFIGURATIONS}/{other[1]}/revisions/1", {}),
        ("GET", f"{CONFIGURATIONS}/{other[1]}/diff?from=1&to=1", {}),
        ("POST", f"{CONFIGURATIONS}/{other[1]}/rollback", {"json": {"revision": 1}}),
        ("GET", "/api/v1/config?application=other&name=production", {}),
    ]
    for method, path, more in attempts:
        assert status(method, path, **more) == 404, (method, path)
    stolen = {"application_id": other[0], "name": "mine"}
    assert status("POST", CONFIGURATIONS, json=stolen) == 400
    assert status("POST", APPLICATIONS, json={"name": "new"}) == 403
    assert status("POST", f"{APPLICATIONS}/", json={"name": "new"}) == 403
    listed = guarded.ask(token, "GET", APPLICATIONS).json()
    assert [one["id"] for one in listed] == [own[0]]
    listed = guarded.ask(token, "GET", CONFIGURATIONS).json()
    assert [one["id"] for one in listed] == [own[1]]
    query = f"{CONFIGURATIONS}?application_id={other[0]}"
    assert guarded.ask(token, "GET", query).json() == []
    assert guarded.ask(token, "GET", f"{APPLICATIONS}?name=other").json() == []
    with db.cursor() as cursor:
        cursor.execute("select count(*) from configurations where application_id = %s", (other[0],))
        assert cursor.fetchone() == (1,)
        cursor.execute("select count(*) from configuration_revisions")
        assert cursor.fetchone() == (2,)


@pytest.mark.parametrize("token", [CONFINED, NAMED])
def test_a_confined_token_does_everything_in_its_own_application(
    guarded: Guarded, token: str
) -> None:
    application, configuration = guarded.own
    path = f"{CONFIGURATIONS}/{configuration}"
    new = {"application_id": application, "name": "new"}
    made = guarded.ask(token, "POST", CONFIGURATIONS, json=new)
    changed = {"name": "production", "config": {"a": 1}}
    patch: dict[str, Any] = {"content": '{"comments": "x"}', "headers": MERGE_PATCH}
    query: dict[str, Any] = {"params": {"application": OWN, "name": "production"}}
    answers = [
        made,
        guarded.ask(token, "PUT", path, json=changed),
        guarded.ask(token, "PATCH", path, **patch),
        guarded.ask(token, "POST", f"{path}/rollback", json={"revision": 1}),
        guarded.ask(token, "GET", f"{path}/revisions"),
        guarded.ask(token, "GET", f"{path}/diff?from=1&to=2"),
        guarded.ask(token, "GET", "/api/v1/config", **query),
        guarded.ask(token, "GET", f"{APPLICATIONS}/{application}/changes"),
        guarded.ask(token, "PUT", f"{APPLICATIONS}/{application}", json={"name": OWN}),
        guarded.ask(token, "DELETE", made.headers["location"]),
    ]
    assert [answer.status_code for answer in answers] == [201] + [200] * 8 + [204]


@pytest.mark.parametrize(("token", "status"), [(CONFINED, 200), (NAMED, 404)])
def test_a_token_that_renames_its_application_keeps_it_by_the_id_and_loses_it_by_the_name(
    guarded: Guarded, token: str, status: int
) -> None:
    application, configuration = guarded.own
    path = f"{APPLICATIONS}/{application}"
    assert guarded.ask(token, "PUT", path, json={"name": "renamed"}).status_code == 200
    assert guarded.ask(token, "GET", path).status_code == status
    assert guarded.ask(token, "GET", f"{CONFIGURATIONS}/{configuration}").status_code == status
    assert guarded.ask(token, "PUT", path, json={"name": OWN}).status_code == status
    assert len(guarded.ask(token, "GET", APPLICATIONS).json()) == (status == 200)
    assert guarded.ask(WRITER, "GET", path).status_code == 200


@pytest.mark.parametrize("token", [CONFINED, NAMED])
def test_a_token_that_deletes_its_application_sees_nothing_from_then_on(
    guarded: Guarded, token: str
) -> None:
    application, configuration = guarded.own
    assert guarded.ask(token, "DELETE", f"{APPLICATIONS}/{application}").status_code == 204
    for path in [
        f"{APPLICATIONS}/{application}",
        f"{APPLICATIONS}/{application}/changes",
        f"{CONFIGURATIONS}/{configuration}",
        f"{CONFIGURATIONS}/{configuration}/revisions",
    ]:
        assert guarded.ask(token, "GET", path).status_code == 404
    for path in [APPLICATIONS, CONFIGURATIONS]:
        assert guarded.ask(token, "GET", path).json() == []
    listed = guarded.ask(WRITER, "GET", APPLICATIONS).json()
    assert [one["id"] for one in listed] == [guarded.other[0]]


def test_the_name_of_the_token_is_the_actor_of_its_changes(guarded: Guarded) -> None:
    path = f"{CONFIGURATIONS}/{guarded.own[1]}"
    for token, method in [(WRITER, "PUT"), (CONFINED, "PUT"), (NAMED, "DELETE")]:
        body = {"json": {"name": "production", "config": {"by": token}}} if method == "PUT" else {}
        assert guarded.ask(token, method, path, **body).status_code in {200, 204}
    guarded.ask(WRITER, "POST", f"{path}/rollback", json={"revision": 1})
    listed = guarded.ask(READER, "GET", f"{path}/revisions").json()
    actors = [(one["action"], one["actor"]) for one in reversed(listed)]
    assert actors == [
        ("create", "anonymous"),
        ("update", "writer"),
        ("update", "confined"),
        ("delete", "named"),
        ("rollback", "writer"),
    ]


def test_the_documentation_tells_of_the_tokens(guarded: Guarded) -> None:
    document = guarded.client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    operation = document["paths"][APPLICATIONS]["get"]
    assert operation["security"] == [{"token": []}]
    assert {"401", "403"} <= operation["responses"].keys()


def test_a_malformed_token_stops_the_start_without_repeating_it(dsn: str) -> None:
    for value in ["a:read:canary", " , "]:
        result = subprocess.run(
            [sys.executable, "-m", "uvicorn", "main:app", "--port", "1"],
            cwd=Path(__file__).parents[1],
            env={"DATABASE_URL": dsn, "API_TOKENS": value},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert result.returncode == 1
        assert result.stderr.startswith("config: API_TOKENS: ")
        assert len(result.stderr.splitlines()) == 1
        assert "canary" not in result.stderr


# Logs


def logged(server: Server) -> list[dict[str, Any]]:
    """What the log says of all requests that were answered; every line of it has to be JSON."""
    last = server.client.get("/health").headers["x-request-id"]
    eventually(lambda: any(last in line for line in server.lines))
    lines = [json.loads(line) for line in server.lines]
    return [line for line in lines if line["message"] == "request"]


def test_every_request_has_one_line_of_json_with_its_id(guarded: Guarded) -> None:
    server, application = guarded.server, guarded.own[0]
    sent = {}
    for method, path, expected, route in [
        ("GET", f"{APPLICATIONS}/{application}", 200, f"{APPLICATIONS}/{{id}}"),
        ("HEAD", f"{APPLICATIONS}/{application}/", 200, f"{APPLICATIONS}/{{id}}"),
        ("GET", f"{APPLICATIONS}?name=canary-in-the-query", 200, APPLICATIONS),
        ("POST", APPLICATIONS, 415, APPLICATIONS),
        ("GET", "/canary-in-the-path", 404, "unmatched"),
        ("GET", "/docs", 200, "/docs"),
    ]:
        answer = server.client.request(method, path, headers=bearer(WRITER))
        sent[answer.headers["x-request-id"]] = (method, expected, answer.status_code, route)
    unknown = server.client.get(APPLICATIONS, headers={"X-Request-ID": "my-id_1.2"})
    assert (unknown.status_code, unknown.headers["x-request-id"]) == (401, "my-id_1.2")
    told = logged(server)
    lines = {line["request_id"]: line for line in told}
    assert len(lines) == len(told)
    assert lines["my-id_1.2"]["actor"] == "anonymous"
    for request_id, (method, expected, status, route) in sent.items():
        line = lines[request_id]
        assert line["status"] == status == expected
        assert line["actor"] == ("anonymous" if route == "/docs" else "writer")
        assert (line["method"], line["route"]) == (method, route)
        fields = {"time", "level", "message", "request_id", "method", "route", "status"}
        assert line.keys() == fields | {"duration_ms", "actor"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    said = "".join(server.lines)
    assert not any(canary in said for canary in ["canary-in", WRITER, application])


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "ü", "a\tb", "a;b"])
def test_a_request_id_of_another_form_is_replaced(api: httpx.Client, given: str) -> None:
    answer = api.get("/health", headers={b"X-Request-ID": given.encode("latin-1")})
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9]+", answer.headers["x-request-id"])


def test_an_open_service_says_so(server: Server) -> None:
    warnings = [json.loads(line) for line in server.lines if "WARNING" in line]
    assert any("API_TOKENS is not set" in line["message"] for line in warnings)


def test_the_log_can_be_text_for_a_person(closed: Server) -> None:
    told = re.compile(r"INFO +GET /health 200 [\d.]+ ms anonymous")
    eventually(lambda: any(told.search(line) for line in closed.lines))


def upgrade(path: str, *headers: str) -> bytes:
    """The request for a WebSocket, as a client's library sends it."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("expects", ["", "Expect: 100-continue\r\n"], ids=["in one", "in two"])
def test_the_body_of_a_request_that_offers_http_2_is_read(
    server: Server, api: httpx.Client, expects: str
) -> None:
    body = json.dumps({"name": "billing", "comments": "\r\nUpgrade: is kept"}).encode()
    head = (
        f"POST {APPLICATIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{expects}"
        "Connection: Upgrade, HTTP2-Settings\r\nUPGRADE: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        answers = list[tuple[int, str | None]]()
        for _ in range(2):  # the connection goes on, and the second name is taken
            if expects:
                client.sendall(head)
                assert client.recv(len(go_on), socket.MSG_WAITALL) == go_on
            client.sendall(body if expects else head + body)
            answer = HTTPResponse(client)
            answer.begin()
            answers.append((answer.status, json.loads(answer.read()).get("name")))
    assert answers == [(201, "billing"), (409, None)]
    [made] = api.get(APPLICATIONS).json()
    assert made["comments"] == "\r\nUpgrade: is kept"


@pytest.mark.parametrize("protocol", ["auto", "none"])
def test_a_websocket_is_never_opened_and_passes_by_neither_access_nor_the_log(
    dsn: str, protocol: str
) -> None:
    tokens = f"writer:write:{hash_of(WRITER.encode())}"
    server = Server(DATABASE_URL=dsn, API_TOKENS=tokens, UVICORN_WS=protocol)
    path = f"{APPLICATIONS}/canary-in-the-path?canary-in-the-query"
    authorization = f"Authorization: Bearer {WRITER}"
    with side_by_side(server):
        answers = [
            raw(server, upgrade(path)),
            raw(server, upgrade(path, authorization)),
            raw(server, upgrade("/canary-in-the-path", authorization)),
            raw(server, upgrade("/health")),
            raw(server, upgrade(APPLICATIONS, authorization).replace(b"GET", b"POST", 1)),
            raw(server, upgrade("/health").replace(b"Sec-WebSocket-Key", b"X-Nothing")),
        ]
        route = f"{APPLICATIONS}/{{id}}"
        counted = requests_total(server.client, route) + requests_total(server.client, "unmatched")
    assert [answer.split(b" ")[1] for answer in answers] == [
        b"401",
        b"400",
        b"404",
        b"200",
        b"415",
        b"200",
    ]
    for answer in answers:
        head = answer.lower().partition(b"\r\n\r\n")[0]
        assert b"\r\nx-content-type-options: nosniff" in head
        assert b"\r\ncontent-security-policy: default-src 'none'" in head
    assert counted == 3
    told = [
        (line["method"], line["route"], line["status"], line["actor"])
        for line in map(json.loads, server.lines)
        if line["message"] == "request" and line["route"] != "/metrics"
    ]
    started = told.index(("GET", "unmatched", 401, "anonymous"))
    assert told[started:] == [
        ("GET", "unmatched", 401, "anonymous"),
        ("GET", route, 400, "writer"),
        ("GET", "unmatched", 404, "writer"),
        ("GET", "/health", 200, "anonymous"),
        ("POST", APPLICATIONS, 415, "writer"),
        ("GET", "/health", 200, "anonymous"),
    ]
    said = "".join(server.lines)
    assert "canary" not in said
    assert WRITER not in said


def test_a_service_whose_log_nobody_reads_goes_on_and_ends_in_order(dsn: str) -> None:
    reading, writing = os.pipe()
    port = free_port()
    service = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port)],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"DATABASE_URL": dsn},
        stderr=writing,
    )
    os.close(writing)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, verify=PLAIN) as client:
            eventually(lambda: serves(client))
            # Some 200 bytes each: more than the 64 KiB that a pipe holds.
            for _ in range(500):
                assert client.get("/health").status_code == 200
            assert requests_total(client, "/health") >= 500
            assert scrape(client)["log_lines_dropped_total"] == 0
        service.terminate()
        service.wait(30)
    finally:
        service.kill()
        service.wait()
    with os.fdopen(reading, errors="replace") as log:
        *whole, _ = log.readlines()
    assert len(whole) > 50
    assert all(json.loads(line) for line in whole)


def serves(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return client.get("/health").is_success
    return False


@pytest.fixture(scope="module")
def ended(dsn: str) -> tuple[Server, bytes]:
    """A service that was ended while a client was slow to send its body, and what that received."""
    server = Server(DATABASE_URL=dsn, SHUTDOWN_SECONDS="0.1").start()
    request = (
        f"POST {APPLICATIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Content-Length: 10\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        slow.sendall(request.encode())
        # Once this is answered, the service has begun the request before.
        server.client.get("/health")
        server.stop()
        return server, slow.recv(65536).lower()


def test_the_last_lines_of_the_log_are_those_of_the_end(ended: tuple[Server, bytes]) -> None:
    server, _ = ended
    messages = [json.loads(line)["message"] for line in server.lines]
    assert messages[-2] == "Application shutdown complete."
    assert messages[-1].startswith("Finished server process")


def test_an_answer_at_the_end_of_the_service_forbids_a_browser_to_run_it_too(
    ended: tuple[Server, bytes],
) -> None:
    _, answer = ended
    assert answer.startswith(b"http/1.1 503 ")
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer
    assert b"\r\ncontent-security-policy: default-src 'none'" in answer


# Metrics


def scrape(client: httpx.Client) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = (line for line in answer.text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, value in (one.rsplit(" ", 1) for one in samples)}


def requests_total(client: httpx.Client, route: str) -> float:
    found = scrape(client)
    return sum(
        value
        for series, value in found.items()
        if series.startswith("http_requests_total{") and f'route="{route}"' in series
    )


def test_the_counters_equal_the_requests_made(api: httpx.Client) -> None:
    api.post(APPLICATIONS, json={"name": "counted"})
    before = scrape(api)
    for _ in range(7):
        api.get(APPLICATIONS)
    for _ in range(3):
        api.post(APPLICATIONS, json={"name": "counted"})
    found = scrape(api)
    counted = {series: value - before.get(series, 0) for series, value in found.items()}
    listed = f'{{method="GET",route="{APPLICATIONS}",status="200"}}'
    taken = f'{{method="POST",route="{APPLICATIONS}",status="409"}}'
    assert counted[f"http_requests_total{listed}"] == 7
    assert counted[f"http_requests_total{taken}"] == 3
    assert counted[f"http_request_duration_seconds_count{listed}"] == 7
    assert counted[f'http_request_duration_seconds_bucket{listed[:-1]},le="+Inf"}}'] == 7
    assert counted['database_errors_total{sqlstate="23505"}'] == 3
    assert found["database_pool_size"] == 4
    assert found["database_pool_in_use"] == 0
    assert found["watchers"] == 0
    assert found['config_service_build_info{version="1.0.0"}'] == 1


def test_a_scrape_tells_of_all_workers(dsn: str) -> None:
    server = Server(DATABASE_URL=dsn, UVICORN_WORKERS="2")
    address = f"http://127.0.0.1:{server.port}"
    with side_by_side(server):
        eventually(lambda: scrape(server.client)["database_pool_size"] == 8)
        with ThreadPoolExecutor(8) as clients:
            list(clients.map(lambda _: httpx.get(f"{address}/health", verify=PLAIN), range(60)))
        before = requests_total(server.client, "/health")
        assert before >= 60
        for _ in range(10):  # whichever worker answers
            with httpx.Client(base_url=address, verify=PLAIN) as client:
                assert requests_total(client, "/health") == before
        found = scrape(server.client)
        assert found['config_service_build_info{version="1.0.0"}'] == 1


def test_prometheus_itself_can_read_a_scrape(api: httpx.Client) -> None:
    api.get(APPLICATIONS)
    script = textwrap.dedent("""
        import sys
        from prometheus_client.parser import text_string_to_metric_families
        families = {f.name: f for f in text_string_to_metric_families(sys.stdin.read())}
        print(*sorted((name, f.type) for name, f in families.items()))
    """)
    command = ["uv", "run", "--quiet", "--no-project", "--with", "prometheus-client==0.26.0"]
    result = subprocess.run(
        [*command, "python", "-c", script],
        input=api.get("/metrics").text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "('http_requests', 'counter')" in result.stdout
    assert "('http_request_duration_seconds', 'histogram')" in result.stdout
