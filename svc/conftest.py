"""What tests share: a slice served by itself, a database that only listens, and the real thing."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import psycopg2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from psycopg2.extensions import connection, make_dsn, parse_dsn

import database
import migrations
from config import Settings
from edge import problems

HERE = Path(__file__).parent


@pytest.fixture
def serve() -> Callable[[ModuleType], TestClient]:
    """Serves one slice: `serve(handler)` is a client of an app that has nothing else."""

    def serve(handler: ModuleType) -> TestClient:
        app = FastAPI()
        app.include_router(handler.router)
        problems.install(app)
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

        async def answer(sql: str, values: database.Values | None = None) -> list[database.Row]:
            self.statements.append((kind, re.sub(r"\s+", " ", sql).strip(), values or {}))
            if self.error:
                raise self.error
            return self.rows

        return answer


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    """In the place of the database for a repository's test."""
    stand_in = Listener()
    monkeypatch.setattr(database, "read", stand_in.answering("read"))
    monkeypatch.setattr(database, "write", stand_in.answering("write"))
    return stand_in


def violation[E: psycopg2.IntegrityError](kind: type[E], constraint: str) -> E:
    """The error of PostgreSQL for a violated constraint of this name."""
    named = type(kind.__name__, (kind,), {"diag": SimpleNamespace(constraint_name=constraint)})
    error: E = named()
    return error


class Server:
    """The service in a process of its own, under uvicorn, on a free port of the loopback."""

    def __init__(self, **environment: str) -> None:
        self.environment = environment
        self.lines: list[str] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def start(self) -> "Server":
        """Starts it and waits until it serves."""
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
        for _ in range(600):
            try:
                self.client.get("/health")
            except httpx.TransportError:
                assert self.process.poll() is None, "".join(self.lines)
                time.sleep(0.05)
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


@pytest.fixture(scope="session")
def dsn() -> str:
    """The tests' own database: the one of DATABASE_URL with `_test` behind its name, made anew."""
    url = Settings().database_url.get_secret_value()
    name = parse_dsn(url).get("dbname", "config_service") + "_test"
    maintenance = psycopg2.connect(url, connect_timeout=5)
    maintenance.autocommit = True
    with maintenance.cursor() as cursor:
        cursor.execute(f'drop database if exists "{name}" with (force)')
        cursor.execute(f'create database "{name}"')
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
        cursor.execute("delete from applications")


@pytest.fixture(scope="session")
def server(dsn: str) -> Iterator[Server]:
    """One service for all integration tests."""
    running = Server(DATABASE_URL=dsn).start()
    yield running
    running.stop()


@pytest.fixture
def db(dsn: str) -> Iterator[connection]:
    """A connection of the test's own to look with; the tables are empty before and after."""
    looking = psycopg2.connect(dsn)
    looking.autocommit = True
    empty(looking)
    yield looking
    empty(looking)
    looking.close()


@pytest.fixture
def api(server: Server, db: connection) -> httpx.Client:
    """A client of the running service, over empty tables."""
    return server.client
