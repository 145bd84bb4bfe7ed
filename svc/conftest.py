"""What tests share: a slice served by itself, a database that only listens, and the real thing."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import psycopg2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from psycopg2.extensions import connection, make_dsn, parse_dsn
from pydantic import SecretStr

import database
import migrations
from config import Settings, settings
from dev.postgres import Embedded
from edge import metrics, problems
from test.answers import hold
from wire.changes import Change
from wire.types import new_ulid

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, default=0, help="how long fault tests go on at least")
    parser.addoption("--database", default="test", help="how the name of the tests' database ends")
    parser.addoption("--watchers", default="200", help="how many watch at the same time")
    parser.addoption("--examples", default="200", help="how many examples of each operation")


def pytest_configure() -> None:
    """Leaves the processes that the tests start to coverage itself (`patch` in pyproject.toml):
    pytest-cov would load all of pytest into each."""
    os.environ.pop("COV_CORE_SOURCE", None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a PostgreSQL, so that `make test-unit` can leave it out, and which of two
    halves of `make test` runs a test."""
    for item in items:
        is_integration = (
            item.path.parent == HERE / "test" or item.path.name == "test_integration.py"
        )
        # So that both halves take the same time.
        is_moved = item.path.name in {"test_large_application.py", "test_json_schema.py"}
        if not is_integration or is_moved or item.get_closest_marker("faults"):
            item.add_marker(pytest.mark.beside)
        if isinstance(item, pytest.Function) and {"dsn", "running_postgres"} & {*item.fixturenames}:
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def seconds(pytestconfig: pytest.Config) -> float:
    """How long a test under faults goes on at least; it ends when it has seen enough as well."""
    given: float = pytestconfig.getoption("seconds")
    return given


# What only /proc tells is left out where there is none, by a skip at the end that says so.
HAS_PROC = Path("/proc/self/status").exists()


def resident_kib(pid: int) -> int:
    """The resident memory of a process, or 0 where there is no /proc."""
    status = Path(f"/proc/{pid}/status")
    return int(status.read_text().split("VmRSS:")[1].split()[0]) if HAS_PROC else 0


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def serve() -> Callable[[ModuleType], TestClient]:
    """Serves one slice: `serve(handler)` is a client of an app that has nothing else."""

    def serve(handler: ModuleType) -> TestClient:
        app = FastAPI(exception_handlers=problems.HANDLERS)
        app.add_middleware(problems.catch)
        app.state.settings = settings()
        app.include_router(handler.router)
        return TestClient(app)

    return serve


class Listener:
    """In PostgreSQL's place: keeps each statement with its values, and answers what it is told."""

    def __init__(self) -> None:
        self.rows: list[database.Row] = []
        self.error: Exception | None = None
        self.statements: list[tuple[str, str, database.Values]] = []

    def answering(self, kind: str) -> Callable[..., Any]:
        """A replacement of `database.read` or `database.write`."""

        async def answer(
            sql: str, values: database.Values | None = None, **_: object
        ) -> list[database.Row]:
            self.statements.append((kind, re.sub(r"\s+", " ", sql).strip(), values or {}))
            if self.error:
                raise self.error
            return self.rows

        return answer

    def finding(self, kind: str) -> Callable[..., Any]:
        """A replacement of `database.read_batched` or `database.write_batched`."""

        async def answer(sql: str, values: database.Values) -> database.Row | None:
            rows = await self.answering(kind)(sql, values)
            return rows[0] if rows else None

        return answer


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    """In the place of the database for a repository's test."""
    stand_in = Listener()
    monkeypatch.setattr(database, "read", stand_in.answering("read"))
    monkeypatch.setattr(database, "write", stand_in.answering("write"))
    monkeypatch.setattr(database, "read_batched", stand_in.finding("read_batched"))
    monkeypatch.setattr(database, "write_batched", stand_in.finding("write_batched"))
    monkeypatch.setattr(database, "confined_to", lambda: None)
    return stand_in


def eventually(met: Callable[[], bool], patience: float = 30) -> None:
    """Fails where `met` does not become true; the patience only ends a hang."""
    give_up = time.monotonic() + patience
    while not met():
        assert time.monotonic() < give_up, "it never happened"
        time.sleep(0.01)


# All clients ask over plain HTTP, and share this: otherwise each loads the certificates of the
# machine, which takes longer than its requests.
PLAIN = ssl.create_default_context()


class Server:
    """The service in a process of its own, under uvicorn, on a free port of the loopback."""

    def __init__(self, **environment: str) -> None:
        self.environment = environment
        self.lines: list[str] = []
        self.port = free_port()
        self.answered = list[str]()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            timeout=30,
            verify=PLAIN,
            event_hooks={"response": [self._note]},
        )

    def _note(self, answer: httpx.Response) -> None:
        self.answered.append(answer.headers["x-request-id"])

    def start(self) -> "Server":
        """Starts it and waits until it serves."""
        self.begin()
        return self.wait()

    def begin(self) -> None:
        """Starts it."""
        command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command,
            cwd=HERE,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=[self.process])
        self._reader.start()

    def wait(self) -> "Server":
        """Waits until it serves."""
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            try:
                self.client.get("/health")
            except httpx.TransportError:
                assert self.process.poll() is None, "".join(self.lines)
                time.sleep(0.02)
            else:
                return self
        raise AssertionError("".join(self.lines))

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout
        with process.stdout:
            self.lines.extend(process.stdout)

    def stop(self) -> None:
        """SIGTERM, and waits for the end."""
        self.process.terminate()
        self.process.wait(30)
        self._reader.join()
        self.client.close()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()
        self._reader.join()


@contextmanager
def side_by_side(*servers: Server) -> Iterator[None]:
    """All of them serve for the time of the block: they start and end at the same time."""
    for server in servers:
        server.begin()
    try:
        for server in servers:
            server.wait()
        yield
    finally:
        for server in servers:
            server.process.terminate()
        for server in servers:
            server.stop()


def children(pid: int) -> list[int]:
    """The processes that `pid` started. Not every system has /proc, and not every one has ps."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if listed.exists():
        return [int(child) for child in listed.read_text().split()]
    told = subprocess.run(
        ["ps", "-A", "-o", "pid=", "-o", "ppid="], check=True, capture_output=True, text=True
    )
    rows = [line.split() for line in told.stdout.splitlines()]
    return [int(child) for child, parent in rows if int(parent) == pid]


class Postgres:
    """A PostgreSQL of the tests' own, to be killed and frozen."""

    def __init__(self, home: Path) -> None:
        identity = Embedded.here().identity
        self._server = Embedded(home, identity)
        self._parts = {
            "host": "127.0.0.1",
            "port": str(free_port()),
            "user": "config_service",
            "password": "canary-of-the-dsn",
            "dbname": "postgres",
        }
        self.dsn = make_dsn(**self._parts)
        unpacked = Embedded.here().home / "server"
        if unpacked.exists():
            shutil.copytree(unpacked, home / "server")

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self._server.start(self._parts)

    def stop(self) -> None:
        """Stops it in order."""
        self._server.stop()

    def kill(self) -> None:
        """SIGKILL to its every process, as a machine that loses its power would."""
        self._signal(signal.SIGKILL)
        while self._server.is_running():
            time.sleep(0.02)

    def freeze(self) -> None:
        """SIGSTOP: its connections stay open and say nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        pid = int((self._server.home / "data/postmaster.pid").read_text().split()[0])
        for process in [pid, *children(pid)]:
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def connect(self) -> connection:
        """A connection under autocommit."""
        opened = psycopg2.connect(self.dsn)
        opened.autocommit = True
        return opened


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[Postgres]:
    """The one PostgreSQL that the fault tests share."""
    # Not tmp_path: whoever runs PostgreSQL in root's place has no way into that.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    postgres = Postgres(folder)
    postgres.start()
    list(migrations.migrate(postgres.dsn))
    yield postgres
    with suppress(FileNotFoundError, ProcessLookupError):
        postgres.kill()
    shutil.rmtree(folder)


@pytest.fixture
def postgres(running_postgres: Postgres) -> Postgres:
    """It runs, and its tables are empty."""
    with running_postgres.connect() as db, db.cursor() as cursor:
        cursor.execute("delete from applications")
    return running_postgres


@pytest.fixture(scope="session")
def dsn(pytestconfig: pytest.Config) -> str:
    """The tests' own database: the one of DATABASE_URL with `_test` behind its name, made anew."""
    url = Settings().database_url.get_secret_value()
    name = parse_dsn(url).get("dbname", "config_service") + f"_{pytestconfig.getoption('database')}"
    maintenance = psycopg2.connect(url, connect_timeout=5)
    maintenance.autocommit = True
    with maintenance.cursor() as cursor:
        cursor.execute(f'drop database if exists "{name}" with (force)')
        cursor.execute(f'create database "{name}"')
        # Quicker. What has to outlive a crash is tested on a server of its own.
        cursor.execute(f'alter database "{name}" set synchronous_commit = off')
    maintenance.close()
    own = make_dsn(url, dbname=name)
    list(migrations.migrate(own))
    return own


def empty(db: connection) -> None:
    """Empties the tables; refused for any database but the tests' own."""
    name = db.info.dbname
    if not name.endswith("_test"):
        raise RuntimeError(f"{name} is not a database of the tests")
    with db.cursor() as cursor:
        cursor.execute(
            "delete from applications;"
            # History itself refuses to be emptied.
            "alter table configuration_revisions disable trigger user;"
            "delete from configuration_revisions;"
            "delete from configuration_names;"
            "delete from trimmed_changes;"
            "alter table configuration_revisions enable trigger user"
        )


@pytest.fixture(scope="session")
def server(dsn: str) -> Iterator[Server]:
    """One service for all integration tests. Its answers are held against its OpenAPI document, and
    its log against its answers at the end."""
    running = Server(DATABASE_URL=dsn).start()
    hold(running.client)
    yield running
    running.stop()
    lines = [json.loads(line) for line in running.lines]
    logged = Counter(line["request_id"] for line in lines if line["message"] == "request")
    assert [logged[answered] for answered in running.answered] == [1] * len(running.answered)


@pytest.fixture
def db(dsn: str) -> Iterator[connection]:
    """A connection of the test's own to look with; the tables are empty before and after."""
    looking = psycopg2.connect(dsn)
    looking.autocommit = True
    empty(looking)
    yield looking
    empty(looking)
    looking.close()


class Tables:
    """The tests' own database: rows to begin with, and what is found there afterwards."""

    def __init__(self, db: connection) -> None:
        self._db = db

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        with self._db.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description is not None else []

    def application(self, name: str = "billing") -> str:
        """Makes an application; its id."""
        made = new_ulid()
        self.rows("insert into applications (id, name) values (%s, %s)", made, name)
        return made

    def configuration(self, application: str, name: str = "production", config: str = "{}") -> str:
        """Makes a configuration with that document, given as JSON text; its id."""
        made = new_ulid()
        self.rows(
            "insert into configurations (id, application_id, name, config) values (%s, %s, %s, %s)",
            *(made, application, name, config),
        )
        return made


@pytest.fixture
def tables(db: connection) -> Tables:
    """The tests' own database, empty."""
    return Tables(db)


class Repositories:
    """Runs what repositories do on the tests' own database, in an event loop of its own."""

    def __init__(self, dsn: str) -> None:
        self._settings = Settings(database_url=SecretStr(dsn))
        self._caller, self._change = database.Caller(), Change()
        self._loop = asyncio.new_event_loop()
        self._is_open, self._is_done = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()])
        self._thread.start()
        self._is_open.wait()

    async def _serve(self) -> None:
        try:
            async with database.opened(
                self._settings, lambda: self._caller, lambda: self._change, metrics
            ):
                self._is_open.set()
                await self._is_done.wait()
        finally:
            self._is_open.set()

    def __call__[T](
        self, call: Coroutine[Any, Any, T], note: str = "", dry_run: bool = False, **caller: str
    ) -> T:
        """What `call` returns or raises, as if the request came so from that caller."""
        self._caller, self._change = database.Caller(**caller), Change(note, dry_run)
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(30)

    def close(self) -> None:
        """Closes the database."""
        self._loop.call_soon_threadsafe(self._is_done.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def repositories(dsn: str) -> Iterator[Repositories]:
    """The database of the slices, opened once for all tests of a module."""
    opened = Repositories(dsn)
    yield opened
    opened.close()


@pytest.fixture
def run(repositories: Repositories, db: connection) -> Repositories:
    """Runs a call of a repository on the tests' own database: `run(repository.get(id))`."""
    return repositories


@pytest.fixture
def api(server: Server, db: connection) -> httpx.Client:
    """A client of the running service, over empty tables."""
    return server.client
