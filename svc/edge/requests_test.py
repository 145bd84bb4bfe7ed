import asyncio
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from database import Caller
from edge import access, logs, metrics, paths, requests
from wire import changes
from wire.route import ExactRoute

SECRET = "canary-of-the-path"


class Service:
    """Some routes, and the lines that `accompany` writes about them."""

    def __init__(
        self, capfd: pytest.CaptureFixture[str], level: str = "INFO", form: str = "json"
    ) -> None:
        self.app = FastAPI()
        self.app.add_api_route("/things/{id}", self._thing, methods=["GET", "PUT"])
        self.app.add_route("/metrics", metrics.get_metrics)
        self.app.add_middleware(requests.accompany, level=level, form=form)
        self.app.add_middleware(paths.resolve)
        self.client = TestClient(self.app)
        self._capfd = capfd

    async def _thing(self, id: str) -> dict[str, str]:
        access.caller.set(Caller("writer"))
        return {"id": id}

    def line(self) -> dict[str, Any]:
        """The one line of the one request so far."""
        [line] = written(self._capfd)
        told: dict[str, Any] = json.loads(line)
        return told


def written(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on standard error, none of which may hold a secret."""
    logs.writer().drain(10)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert SECRET not in printed.err
    assert printed.err == "" or printed.err.endswith("\n")
    return printed.err.splitlines()


@pytest.fixture
def service(capfd: pytest.CaptureFixture[str]) -> Service:
    return Service(capfd)


async def nothing() -> Message:
    raise AssertionError("nothing is received")


async def unsent(_: Message) -> None:
    raise AssertionError("nothing is sent")


@pytest.fixture(autouse=True)
def drained(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No line of a test is written during the next one, nor to the terminal."""
    yield
    logs.writer().drain(10)


def test_a_request_is_one_line_with_exactly_these_members(service: Service) -> None:
    service.client.put(f"/things/{SECRET}?q={SECRET}", headers={"X-Request-ID": "mine"})
    line = service.line()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert isinstance(line.pop("duration_ms"), float)
    assert line == {
        "level": "INFO",
        "message": "request",
        "request_id": "mine",
        "method": "PUT",
        "route": "/things/{id}",
        "status": 200,
        "actor": "writer",
    }


@pytest.mark.parametrize("sent", ["a", "A.b_c-9", "x" * 128])
def test_a_plain_request_id_is_taken_and_sent_back(service: Service, sent: str) -> None:
    answer = service.client.get("/things/a", headers={"X-Request-ID": sent})
    assert answer.headers.get_list("X-Request-ID") == [sent]
    assert service.line()["request_id"] == sent


@pytest.mark.parametrize(
    "sent", [b"", b"x" * 129, b"a b", b"a/b", b'a"b', b"\xc3\xa9", b"\xff", b"a,b", None]
)
def test_another_request_id_is_replaced_by_a_new_one(service: Service, sent: bytes | None) -> None:
    headers = [] if sent is None else [(b"X-Request-ID", sent)]
    answer = service.client.get("/things/a", headers=headers)
    [made] = answer.headers.get_list("X-Request-ID")
    assert re.fullmatch(r"[A-Za-z0-9._-]{16,128}", made)
    assert service.line()["request_id"] == made


def test_every_request_without_an_id_gets_another_one_in_each_process(
    capfd: pytest.CaptureFixture[str],
) -> None:
    clients = [Service(capfd).client for _ in range(2)]
    ids = [client.get("/things/a").headers["X-Request-ID"] for client in clients for _ in range(5)]
    assert len(set(ids)) == 10


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        (f"/things/{SECRET}", "/things/{id}", 200),
        (f"/things/{SECRET}/", "/things/{id}", 200),
        (f"/{SECRET}", "unmatched", 404),
        ("/metrics", "/metrics", 200),
    ],
)
def test_a_route_is_told_by_its_template_and_never_by_its_values(
    service: Service, path: str, route: str, status: int
) -> None:
    answer = service.client.get(path)
    line = service.line()
    assert (line["route"], line["status"]) == (route, status)
    assert answer.headers["X-Request-ID"] == line["request_id"]


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("GET", "GET"),
        ("HEAD", "HEAD"),
        ("POST", "POST"),
        ("PUT", "PUT"),
        ("PATCH", "PATCH"),
        ("DELETE", "DELETE"),
        ("OPTIONS", "OPTIONS"),
        ("BREW", "other"),
        ("get", "other"),
        (SECRET.upper(), "other"),
    ],
)
def test_a_method_is_told_as_it_was_asked_or_as_other(
    service: Service, method: str, told: str
) -> None:
    scope = {
        "type": "http",
        "method": method,
        "path": "/things/a",
        "raw_path": b"/things/a",
        "query_string": b"",
        "headers": [],
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(_: Message) -> None:
        pass

    asyncio.run(service.app(scope, receive, send))
    assert service.line()["method"] == told


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    with metrics.opened("1.2.3"):
        yield


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("HEAD", f"/things/{SECRET}", 'method="HEAD",route="/things/{id}",status="200"'),
        ("BREW", f"/{SECRET}", 'method="other",route="unmatched",status="404"'),
    ],
)
def test_a_request_is_counted_with_what_its_line_tells(
    service: Service, method: str, path: str, labels: str
) -> None:
    service.client.request(method, path)
    text = metrics.exposition()
    assert f"\nhttp_requests_total{{{labels}}} 1\n" in text
    assert f"\nhttp_request_duration_seconds_count{{{labels}}} 1\n" in text
    assert SECRET not in text


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    ("level", "lines"), [("DEBUG", 1), ("INFO", 1), ("WARNING", 0), ("ERROR", 0)]
)
def test_every_request_is_counted_and_told_from_the_level_info_on(
    capfd: pytest.CaptureFixture[str], level: str, lines: int
) -> None:
    answer = Service(capfd, level).client.get("/things/a", headers={"X-Request-ID": "mine"})
    assert answer.headers["X-Request-ID"] == "mine"
    assert len(written(capfd)) == lines
    counted = 'http_requests_total{method="GET",route="/things/{id}",status="200"} 1'
    assert counted in metrics.exposition().splitlines()


@pytest.mark.parametrize("error", [asyncio.CancelledError, ValueError])
def test_a_request_that_is_never_answered_is_a_499_of_an_anonymous_client(
    capfd: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise error(SECRET)

    scope = {"type": "http", "method": "GET", "path": f"/{SECRET}", "headers": []}
    with pytest.raises(error):
        asyncio.run(
            asyncio.wait_for(requests.accompany(app, "INFO", "json")(scope, nothing, unsent), 10)
        )
    [line] = map(json.loads, written(capfd))
    assert (line["status"], line["route"], line["actor"]) == (499, "unmatched", "anonymous")


def test_the_actor_of_one_request_is_not_that_of_the_next(
    capfd: pytest.CaptureFixture[str],
) -> None:
    seen: list[str] = []

    async def app(_: Scope, __: Receive, ___: Send) -> None:
        seen.append(access.caller.get().actor)
        access.caller.set(Caller("writer"))

    async def twice() -> None:
        accompanied = requests.accompany(app, "INFO", "json")
        for _ in range(2):
            scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
            await accompanied(scope, nothing, unsent)

    asyncio.run(twice())
    assert seen == ["anonymous", "anonymous"]
    assert [json.loads(line)["actor"] for line in written(capfd)] == ["writer", "writer"]


def test_a_dry_run_and_a_note_are_not_those_of_the_next_request() -> None:
    """The server may begin the next request of a connection in the context of the one before."""
    router = APIRouter(route_class=ExactRoute)

    @router.put("/tried", dependencies=[changes.CHANGE])
    async def try_thing() -> list[Any]:
        return list(changes.asked.get())

    @router.put("/done")
    async def do_thing() -> list[Any]:
        return list(changes.asked.get())

    app = FastAPI()
    app.include_router(router)
    app.add_middleware(requests.accompany, level="ERROR", form="json")
    answered = list[bytes]()

    async def send(message: Message) -> None:
        answered.append(message.get("body", b""))

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def both() -> None:
        scope = {"type": "http", "method": "PUT", "headers": []}
        for path, query in (("/tried", b"dry_run=true&note=why"), ("/done", b"")):
            await app({**scope, "path": path, "query_string": query}, receive, send)

    asyncio.run(both())
    assert [body for body in answered if body] == [b'["why",true]', b'["",false]']


def test_what_is_not_http_passes_untouched(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[Scope, Send]] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        seen.append((scope, send))

    given: Scope = {"type": "lifespan"}
    asyncio.run(
        asyncio.wait_for(requests.accompany(app, "INFO", "json")(given, nothing, unsent), 10)
    )
    assert seen == [(given, unsent)]
    assert written(capfd) == []


def test_a_request_is_one_readable_line_of_text(capfd: pytest.CaptureFixture[str]) -> None:
    Service(capfd, form="text").client.head(f"/things/{SECRET}")
    [line] = written(capfd)
    expected = r"\d\d:\d\d:\d\d INFO    HEAD /things/\{id\} 200 \d+\.\d{3} ms writer"
    assert re.fullmatch(expected, line)


STRICT = "default-src 'none'; frame-ancestors 'none'; sandbox"
PAGE = "default-src 'none'; script-src 'self'"
REUSED = Response("the same object for every request")

app = FastAPI()
app.add_middleware(requests.accompany, level="ERROR", form="json")


@app.get("/document")
async def get_document() -> dict[str, str]:
    return {}


@app.get("/page")
async def get_page() -> Response:
    return Response("<p>", headers={"content-security-policy": PAGE}, media_type="text/html")


@app.get("/reused")
async def get_reused() -> Response:
    return REUSED


@pytest.fixture
def client() -> TestClient:
    return TestClient(app)


@pytest.mark.parametrize(("path", "status"), [("/document", 200), ("/nowhere", 404)])
def test_a_browser_must_not_guess_the_type_of_an_answer_nor_run_anything_in_it(
    client: TestClient, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers.get_list("Content-Security-Policy") == [STRICT]


def test_a_page_has_the_policy_that_it_brings(client: TestClient) -> None:
    answer = client.get("/page")
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers.get_list("Content-Security-Policy") == [PAGE]


def test_a_response_that_is_used_again_does_not_collect_headers(client: TestClient) -> None:
    first, second = (client.get("/reused").headers for _ in range(2))
    del first["X-Request-ID"], second["X-Request-ID"]
    assert first == second
    assert [name for name, _ in REUSED.raw_headers] == [b"content-length"]
