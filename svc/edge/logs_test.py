import asyncio
import json
import logging
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from database import Caller
from edge import access, lines, logs, metrics
from edge.paths import Paths

SECRET = "canary-of-the-path"
LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access")


class Service:
    """Some routes, and the lines that `RequestLog` writes about them."""

    def __init__(
        self, capfd: pytest.CaptureFixture[str], level: str = "INFO", format: str = "json"
    ) -> None:
        self.app = FastAPI()
        self.app.add_api_route("/things/{id}", self._thing, methods=["GET", "PUT"])
        self.app.add_route("/metrics", metrics.get_metrics)
        self.app.add_middleware(logs.RequestLog, level=level, format=format)
        self.app.add_middleware(Paths)
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
    lines.writer().drain(10)
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
def drained() -> Iterator[None]:
    """No line of a test is written during the next one."""
    yield
    lines.writer().drain(10)


def record(message: str, *values: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("some", level, __file__, 1, message, values, None)


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
        asyncio.run(logs.RequestLog(app, "INFO", "json")(scope, nothing, unsent))
    [line] = map(json.loads, written(capfd))
    assert (line["status"], line["route"], line["actor"]) == (499, "unmatched", "anonymous")


def test_the_actor_of_one_request_is_not_that_of_the_next(
    capfd: pytest.CaptureFixture[str],
) -> None:
    seen: list[str] = []

    async def app(_: Scope, __: Receive, ___: Send) -> None:
        seen.append(access.caller.get().actor)
        access.caller.set(Caller("writer"))

    async def twice() -> str:
        access.caller.set(Caller("before"))
        requests = logs.RequestLog(app, "INFO", "json")
        for _ in range(2):
            scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
            await requests(scope, nothing, unsent)
        return access.caller.get().actor

    assert asyncio.run(twice()) == "before"
    assert seen == ["anonymous", "anonymous"]
    assert [json.loads(line)["actor"] for line in written(capfd)] == ["writer", "writer"]


def test_what_is_not_http_passes_untouched(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[Scope, Send]] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        seen.append((scope, send))

    given: Scope = {"type": "lifespan"}
    asyncio.run(logs.RequestLog(app, "INFO", "json")(given, nothing, unsent))
    assert seen == [(given, unsent)]
    assert written(capfd) == []


def test_any_other_line_is_json_with_its_time_level_and_message() -> None:
    line = logs.JsonLines().format(record("no %s\n%r", "é", 1))
    assert "\n" not in line
    told = json.loads(line)
    assert set(told) == {"time", "level", "message"}
    assert (told["level"], told["message"]) == ("WARNING", "no é\n1")


def test_the_time_of_a_line_is_that_of_its_record_in_utc() -> None:
    one = record("some")
    one.created = 1_000_000_000.25
    assert json.loads(logs.JsonLines().format(one))["time"] == "2001-09-09T01:46:40.250+00:00"
    assert logs.TextLines().format(one) == "01:46:40 WARNING some"


@pytest.mark.parametrize("formatter", [logs.JsonLines(), logs.TextLines()])
def test_the_text_of_an_exception_is_never_told(formatter: logging.Formatter) -> None:
    one = record("failed")
    error = ValueError(SECRET)
    one.exc_info = (ValueError, error, None)
    line = formatter.format(one)
    assert "failed" in line
    assert SECRET not in line


def test_a_request_is_one_readable_line_of_text(capfd: pytest.CaptureFixture[str]) -> None:
    Service(capfd, format="text").client.head(f"/things/{SECRET}")
    [line] = written(capfd)
    expected = r"\d\d:\d\d:\d\d INFO    HEAD /things/\{id\} 200 \d+\.\d{3} ms writer"
    assert re.fullmatch(expected, line)


@pytest.fixture
def bare() -> Iterator[None]:
    """The loggers as uvicorn leaves them to the app, and afterwards as they were."""
    root, loggers = logging.getLogger(), [logging.getLogger(name) for name in LOGGERS]
    level, handlers = root.level, root.handlers
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    root.handlers = []
    for logger in loggers:
        logger.handlers, logger.propagate = [logging.StreamHandler()], False
    yield
    root.setLevel(level)
    root.handlers = handlers
    for logger, (own, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = own, propagate


def install(level: str, format: str) -> None:
    """Installs the log without the handlers that pytest gives the root logger before each test."""
    logging.getLogger().handlers = []
    logs.install(level, format)


@pytest.mark.usefixtures("bare")
def test_all_loggers_write_json_to_standard_error_once(capfd: pytest.CaptureFixture[str]) -> None:
    install("INFO", "json")
    for name in ("uvicorn", "uvicorn.error", "config_service", "another"):
        logging.getLogger(name).warning("of %s", name)
    told = [json.loads(line)["message"] for line in written(capfd)]
    assert told == ["of uvicorn", "of uvicorn.error", "of config_service", "of another"]


@pytest.mark.usefixtures("bare")
def test_all_loggers_write_text_where_that_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    install("INFO", "text")
    for name in ("uvicorn.error", "config_service"):
        logging.getLogger(name).warning("of %s", name)
    first, second = written(capfd)
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING of uvicorn\.error", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING of config_service", second)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("format", ["json", "text"])
def test_uvicorn_s_own_line_of_a_request_is_silenced(
    capfd: pytest.CaptureFixture[str], format: str
) -> None:
    install("INFO", format)
    access = logging.getLogger("uvicorn.access")
    access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", f"/things/{SECRET}", "1.1", 200)
    assert written(capfd) == []
    assert not access.hasHandlers()


@pytest.mark.usefixtures("bare")
def test_what_is_below_the_level_is_not_written(capfd: pytest.CaptureFixture[str]) -> None:
    install("WARNING", "text")
    logging.getLogger("config_service").info("below")
    assert written(capfd) == []
