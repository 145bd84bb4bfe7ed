import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import isnan
from pathlib import Path
from threading import Thread
from unittest.mock import MagicMock
from xml.etree import ElementTree

import httpx
import psycopg2
import pytest
from psycopg2.sql import SQL, Identifier

from conftest import Listener
from dev.bench import run as bench
from dev.bench.load import TURN, TURNS, Figures, NotMeasured, request
from dev.bench.workloads import NUMBER, WORKLOADS, identifier
from dev.postgres import Embedded

RATES = {
    **{name: 1000 + 100 * row for row, name in enumerate(WORKLOADS)},
    "floor": 4000,
    "pgbench select": 2000,
    "pgbench update": 50,
}
TAKEN: bench.Taken = {
    (name, connections): [Figures(connections * rate, 1.5, 20.25, 250.4)]
    for connections in bench.CONNECTIONS
    for name, rate in RATES.items()
}


def one_line(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).strip()


def test_a_statement_is_that_of_the_repository_with_its_values_in_the_places(
    listener: Listener,
) -> None:
    listener.rows = [{"application_id": "A", "revision": 4, "body": "{}"}]
    calls: list[Callable[[], object]] = [
        lambda: bench.repository("get_configuration").get("it's"),
        lambda: bench.repository("replace_configuration").replace(
            "it's", None, "50%", None, '{"a": ":b"}', None
        ),
    ]
    quoted = {"id": "ARRAY['it''s']", "name": "ARRAY['50%']", "config": """ARRAY['{"a": ":b"}']"""}
    for call in calls:
        asyncio.run(call())  # type: ignore[arg-type]
        _, template, values = listener.statements[-1]
        found = bench.statement(call())  # type: ignore[arg-type]
        literals = {name: quoted.get(name, "'{NULL}'") for name in {*values, "known"}}
        literals["confined_to"] = "NULL"
        assert one_line(found) == template % literals


def test_after_a_statement_was_taken_the_database_is_asked_again(listener: Listener) -> None:
    bench.statement(bench.repository("get_configuration").get("C"))
    assert listener.statements == []
    listener.rows = [{"revision": 7, "body": "{}"}]
    assert asyncio.run(bench.repository("get_configuration").get("C")) == listener.rows[0]


def test_a_script_runs_the_statement_for_any_document_with_another_turn() -> None:
    first, second, *rest = bench.script("select\n  1").splitlines()
    assert first == "\\set number random(2000, 2999)"
    assert second == f"\\set the_turn random({TURNS[0]}, {TURNS[1]})"
    assert rest == ["select", "  1;"]
    assert (NUMBER, TURN) == (":number", ":the_turn")


def program(folder: Path, python: str) -> Path:
    """An executable in the place of pgbench; without coverage, whose settings are elsewhere."""
    file = folder / "pgbench"
    file.write_text(f"#!{sys.executable} -S\nimport os, sys\nfrom pathlib import Path\n{python}\n")
    file.chmod(0o755)
    return file


def test_runs_count_once_the_connections_are_warm_and_until_the_time_is_up() -> None:
    log = """
        0 1 900000 0 100 950000
        0 2 250000 0 101 500000
        1 1 1500 0 103 0
        1 2 500000 0 103 700000
    """
    assert bench.last_runs(log.strip(), 2) == [0.25, 0.0015]
    assert bench.last_runs("", 2) == []


def test_latencies_of_pgbench_come_from_its_log(tmp_path: Path) -> None:
    told = tmp_path / "told"
    fake = program(
        tmp_path,
        "Path('pgbench_log.1').write_text('0 1 1500 0 17 0\\n1 1 250 0 17 5000\\n')\n"
        f"parts = [os.environ['PGDATABASE'], Path('script').read_text(), *sys.argv[1:]]\n"
        f"Path({str(told)!r}).write_text('|'.join(parts))",
    )
    assert bench.pgbench(fake, "dbname=x", "select 1", 3, 64) == [0.0015]
    database, script, *options = told.read_text().split("|")
    assert (database, script) == ("dbname=x", bench.script("select 1"))
    assert {"--file=script", "--log", "--client=64", "--time=5"} <= set(options)
    assert not any("dbname" in option for option in options)


def test_where_pgbench_fails_its_words_are_told(tmp_path: Path) -> None:
    fake = program(tmp_path, "sys.exit('no such table')")
    with pytest.raises(NotMeasured, match="pgbench: no such table"):
        bench.pgbench(fake, "", "select 1", 1, 1)


def test_pgbench_comes_with_the_embedded_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"

    def unpack(embedded: Embedded) -> None:
        (embedded.home / "server/16/bin").mkdir(parents=True)
        (embedded.home / "server/16/bin/pgbench").touch()

    monkeypatch.setattr(Embedded, "here", lambda: Embedded(home, {}))
    monkeypatch.setattr(Embedded, "unpack", unpack)
    assert bench.pgbench_program() == home / "server/16/bin/pgbench"


@pytest.mark.parametrize("failing", ["_fill", "the block", ""])
def test_the_database_is_made_anew_and_dropped_at_the_end(
    monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    session, happened = MagicMock(), list[object]()
    session.cursor().__enter__().execute = happened.append
    monkeypatch.setattr(psycopg2, "connect", lambda dsn: session)

    def fill(dsn: str) -> None:
        happened.append(dsn)
        if failing == "_fill":
            raise NotMeasured

    def measure() -> None:
        with bench.filled_database("dbname=mine host=h") as dsn:
            happened.append(dsn)
            if failing == "the block":
                raise NotMeasured

    monkeypatch.setattr(bench, "_fill", fill)
    if failing:
        with pytest.raises(NotMeasured):
            measure()
    else:
        measure()
    name, dsn = Identifier("mine_bench"), "dbname=mine_bench host=h"
    drop = SQL("drop database if exists {} with (force)").format(name)
    create = SQL("create database {}").format(name)
    used = [dsn] if failing == "_fill" else [dsn, dsn]
    assert happened == [drop, create, *used, drop]
    assert session.autocommit is True
    session.close.assert_called_once()


def test_a_conditional_get_names_the_entity_tag_of_its_answer() -> None:
    class Tagged(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("ETag", f'"tag of {self.path}"')
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Tagged) as server:
        serving = Thread(target=server.serve_forever, args=[0.01])
        serving.start()
        try:
            gets = [request("GET", "/a?b=c"), request("GET", "/d")]
            found = bench.conditional(server.server_port, gets)
        finally:
            server.shutdown()
            serving.join()
    assert found == [
        request("GET", "/a?b=c", 'If-None-Match: "tag of /a?b=c"'),
        request("GET", "/d", 'If-None-Match: "tag of /d"'),
    ]


def test_an_app_is_served_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "WARM_UP_SECONDS", 0.1)
    ports = list[int]()

    def use() -> None:
        with bench.serving("dev.bench.floor:app") as (port, process):
            ports.append(port)
            os.kill(process, 0)  # it is there
            assert httpx.get(f"http://127.0.0.1:{port}/1").content == b"{}"
            raise NotMeasured

    with pytest.raises(NotMeasured):
        use()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]))


def test_an_app_that_does_not_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "START_SECONDS", 0.5)
    with (
        pytest.raises(NotMeasured, match="no_such_module:app does not start"),
        bench.serving("no_such_module:app"),
    ):
        pass


def test_service_floor_and_pgbench_are_measured_where_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, measured = dict[str, dict[str, str]](), list[tuple[object, ...]]()

    @contextmanager
    def filled_database(dsn: str) -> Iterator[str]:
        yield "dbname=bench"

    @contextmanager
    def serving(app: str, **environment: str) -> Iterator[bench.Server]:
        started[app] = environment
        yield bench.Server(len(started), 10 * len(started))

    def conditional(port: int, gets: list[bytes]) -> list[bytes]:
        return [b"those of", b"%d" % port, gets[0]]

    def load(*given: object) -> list[float]:
        measured.append(given)
        return [1.0]

    def pgbench(*given: object) -> list[float]:
        measured.append(given)
        return [1.0]

    def used(process: int, database: str) -> tuple[float, float]:
        assert database == "bench"
        return process * len(measured), len(measured)

    for stand_in in (filled_database, serving, conditional, load, pgbench, used):
        monkeypatch.setattr(bench, stand_in.__name__, stand_in)
    monkeypatch.setattr(bench, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr(bench, "pgbench_program", lambda: "pgbench")
    monkeypatch.setattr(bench, "CONNECTIONS", (16,))
    taken = bench.measured(1, 3)
    assert list(taken) == [(name, 16) for name in RATES]
    assert taken["GET", 16] == [Figures(1 / 3, 1000, 1000, 10e6, 1e6)]
    assert taken["floor", 16] == [Figures(1 / 3, 1000, 1000, 20e6, 1e6)]
    assert all(isnan(time) for time in taken["pgbench select", 16][0][3:])

    own = {"DATABASE_URL": "dbname=bench", "DATABASE_DIRECT_URL": "dbname=bench"}
    assert started == {"main:app": own | {"API_TOKENS": ""}, "dev.bench.floor:app": {}}
    *services, floor, select, update = measured
    for workload, given in zip(WORKLOADS.values(), services, strict=True):
        requests = workload.requests()
        if workload.status == 304:
            requests = [b"those of", b"1", requests[0]]
        assert given == (1, requests, workload.status, 16, 3)
    assert (floor[0], *floor[2:]) == (2, 200, 16, 3)
    for (name, dsn, sql, *rest), turned in ((select, False), (update, True)):
        assert (name, dsn, *rest) == ("pgbench", "dbname=bench", 3, 16)
        assert isinstance(sql, str)
        assert f"'{identifier(NUMBER)}'" in sql
        assert (TURN in sql) == turned


def test_all_take_turns_in_each_round(capsys: pytest.CaptureFixture[str]) -> None:
    calls = list[tuple[str, int]]()

    def measure(name: str) -> Callable[[int], Figures]:
        def taking(connections: int) -> Figures:
            calls.append((name, connections))
            return Figures(len(calls), 1, 1)

        return taking

    taken = bench.in_turns({"a": measure("a"), "b": measure("b")}, 2)
    turns = [(name, connections) for connections in (1, 16, 64) for name in ("a", "b")]
    assert calls == turns * 2
    assert [one.rate for one in taken["b", 1]] == [2, 8]
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "round 1 of 2: a, 1 connections"
    assert told[-1] == "round 2 of 2: b, 64 connections"
    assert len(told) == 12


@pytest.mark.parametrize("option", ["--rounds", "--seconds"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many"])
def test_a_number_that_measures_nothing_is_refused_with_a_line(
    capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main([f"{option}={value}"])
    assert ended.value.code == 2
    assert f"{value!r} is not a whole number from 1 on" in capsys.readouterr().err


def test_on_a_terminal_progress_stays_on_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bench.progress("round 1 of 5: pgbench select, 64 connections")
    bench.progress("short")
    first, second = capsys.readouterr().err.split("\r")[1:]
    assert (first.strip(), second.strip()) == (
        "round 1 of 5: pgbench select, 64 connections",
        "short",
    )
    assert len(second) >= len(first.strip())
    assert "\n" not in first + second


def test_the_table_has_the_medians_and_the_parts_of_the_limits() -> None:
    head, *lines = bench.table(TAKEN).splitlines()
    figures = ("requests/s", "p50 ms", "p99 ms", "server us", "postgres us")
    assert re.split(r"\s{2,}", head) == [
        *("workload", "connections", *figures, "of floor", "of pgbench")
    ]
    cells = {(name, connections): rest for name, connections, *rest in map(split, lines)}
    always = ["1.50", "20.25", "250", "-"]
    assert cells["GET", "16"] == ["16,000", *always, "0.25", "0.50"]
    assert cells["GET, 304", "64"] == ["70,400", *always, "0.28", "0.55"]
    assert cells["PUT", "1"] == ["1,900", *always, "0.47", "38.00"]
    assert cells["config, 3 layers, 304", "1"] == ["1,600", *always, "0.40"]
    assert cells["floor", "1"] == ["4,000", *always]
    assert cells["pgbench update", "64"] == ["3,200", *always]
    assert len(cells) == len(lines) == len(TAKEN)
    # As wide as the head, where there is a figure for each column.
    assert {len(line) for line in lines if len(split(line)) == 9} == {len(head)}


def split(line: str) -> list[str]:
    """The cells of a line of the table."""
    return re.split(r"\s{2,}", line)


def test_each_workload_is_plotted_beside_its_limits_with_the_most_connections() -> None:
    groups = bench.groups(TAKEN)
    assert list(groups) == list(WORKLOADS)
    assert groups["GET"] == {"service": 64e3, "floor": 256e3, "pgbench": 128e3}
    assert groups["PUT"] == {"service": 64 * 1900, "floor": 256e3, "pgbench": 3200}
    assert groups["config"] == {"service": 64 * 1400, "floor": 256e3}


@pytest.fixture
def plot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the plot goes."""
    monkeypatch.setattr(bench, "PLOT", tmp_path / "bench.svg")
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path / "bench.svg"
    signal.signal(signal.SIGTERM, handler)


def test_what_was_measured_is_printed_and_plotted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], plot: Path
) -> None:
    asked = list[tuple[int, int]]()

    def measured(rounds: int, seconds: int) -> bench.Taken:
        asked.append((rounds, seconds))
        return TAKEN

    monkeypatch.setattr(bench, "measured", measured)
    bench.main(["--rounds", "2", "--seconds", "1"])
    bench.main([])
    assert asked == [(2, 1), (5, 3)]
    assert bench.table(TAKEN) in capsys.readouterr().out
    assert plot.stat().st_size < 10_000
    drawn = ElementTree.fromstring(plot.read_text())  # noqa: S314 - our own
    told = " ".join(drawn.itertext())
    assert "Requests per second, 64 connections" in told
    assert all(f"{64 * rate:,} " in told for rate in RATES.values())


def interrupt() -> None:
    raise KeyboardInterrupt


def refuse() -> None:
    raise NotMeasured("instead of 200 the status was 3 times 503")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("end", "reason"),
    [(interrupt, "interrupted"), (terminate, "terminated"), (refuse, "3 times 503")],
)
def test_without_figures_it_exits_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, plot: Path, end: Callable[[], None], reason: str
) -> None:
    cleaned = list[str]()

    def measured(rounds: int, seconds: int) -> bench.Taken:
        try:
            end()
            return TAKEN
        finally:
            cleaned.append("up")

    monkeypatch.setattr(bench, "measured", measured)
    with pytest.raises(SystemExit) as raised:
        bench.main([])
    # Text is printed, and the status is 1.
    assert reason in str(raised.value.code)
    assert cleaned == ["up"]
    assert not plot.exists()
