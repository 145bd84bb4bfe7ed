import json
import logging
import os
import re
import select
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from edge import logs, metrics
from edge.logs import Lines, Writer

SECRET = "canary-of-the-path"
LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access")


def written(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on standard error."""
    logs.writer().drain(10)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == "" or printed.err.endswith("\n")
    return printed.err.splitlines()


@pytest.fixture(autouse=True)
def drained(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No line of a test is written during the next one, nor to the terminal."""
    yield
    logs.writer().drain(10)


def record(message: str, *values: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("some", level, __file__, 1, message, values, None)


def test_any_other_line_is_json_with_its_time_level_and_message() -> None:
    line = Lines("json").format(record("no %s\n%r", "é", 1))
    assert "\n" not in line
    told = json.loads(line)
    assert set(told) == {"time", "level", "message"}
    assert (told["level"], told["message"]) == ("WARNING", "no é\n1")


def test_the_time_of_a_line_is_that_of_its_record_in_utc() -> None:
    one = record("some")
    one.created = 1_000_000_000.25
    assert json.loads(Lines("json").format(one))["time"] == "2001-09-09T01:46:40.250+00:00"
    assert Lines("text").format(one) == "01:46:40 WARNING some"


def failed(error: Exception) -> logging.LogRecord:
    one = record("failed")
    one.exc_info = (type(error), error, None)
    return one


def test_an_exception_is_told_by_its_class_and_only_a_person_sees_its_text() -> None:
    one = failed(ValueError("no such colour"))
    assert json.loads(Lines("json").format(one))["message"] == "failed: ValueError at\n"
    assert Lines("text").format(one).endswith("failed: ValueError: no such colour at\n")


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_text_of_postgresql_is_told_to_nobody(form: str) -> None:
    with_code = type("IntegrityError", (psycopg2.IntegrityError,), {"pgcode": "23514"})
    for error, told in [
        (with_code(SECRET), "failed: IntegrityError (SQLSTATE 23514) at"),
        (psycopg2.OperationalError(SECRET), "failed: OperationalError at"),
    ]:
        line = Lines(form).format(failed(error))
        assert told in line
        assert SECRET not in line


@pytest.fixture
def bare() -> Iterator[None]:
    """The loggers as uvicorn leaves them to the app, and afterwards as they were."""
    root, loggers = logging.getLogger(), [logging.getLogger(name) for name in LOGGERS]
    level, handlers = root.level, root.handlers
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    root.handlers = []
    for logger in loggers:
        logger.handlers, logger.propagate = [logging.StreamHandler()], False
        logger.setLevel("INFO")
    yield
    root.setLevel(level)
    root.handlers = handlers
    for logger, (own, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = own, propagate
        logger.setLevel(level)


def install(level: str, form: str) -> None:
    """Installs the log without the handlers that pytest gives the root logger before each test."""
    logging.getLogger().handlers = []
    logs.install(level, form)


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
@pytest.mark.parametrize("form", ["json", "text"])
def test_uvicorn_s_own_line_of_a_request_is_silenced(
    capfd: pytest.CaptureFixture[str], form: str
) -> None:
    install("INFO", form)
    access = logging.getLogger("uvicorn.access")
    access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", f"/things/{SECRET}", "1.1", 200)
    assert written(capfd) == []
    assert not access.hasHandlers()


@pytest.mark.usefixtures("bare")
def test_what_is_below_the_level_is_not_written(capfd: pytest.CaptureFixture[str]) -> None:
    install("WARNING", "text")
    for name in ("uvicorn.error", "config_service"):
        logging.getLogger(name).info("below")
    assert written(capfd) == []


PIPE_BYTES = 1024 * 1024  # more than any pipe holds


class Pipe:
    """A pipe, and the writer of what somebody may read at its other end."""

    def __init__(self) -> None:
        self._end, self._fd = os.pipe()
        self.writer = Writer(self._fd)

    def fill(self) -> None:
        """Hands over more than fits, and waits until the writer is at it."""
        self.writer.write("x" * PIPE_BYTES + "\n")
        select.select([self._end], [], [], 10)

    def read(self, size: int = 65_536) -> str:
        return os.read(self._end, size).decode()

    def empty(self) -> None:
        """Reads what `fill` has written."""
        left = PIPE_BYTES + 1
        while left:
            left -= len(self.read(left))

    def hang_up(self) -> None:
        os.close(self._end)


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    with metrics.opened("1.2.3"):
        yield


def dropped() -> str:
    [line] = [
        line for line in metrics.exposition().splitlines() if line.startswith("log_lines_dropped")
    ]
    return line.split()[-1]


def test_lines_are_written_whole_and_in_their_order(pipe: Pipe) -> None:
    written = [f"{number} é\n" for number in range(1000)]
    for line in written:
        pipe.writer.write(line)
    pipe.writer.drain(10)
    assert pipe.read() == "".join(written)


def test_a_character_that_utf_8_has_not_is_escaped(pipe: Pipe) -> None:
    pipe.writer.write("a\ud800\n")
    pipe.writer.write("b\n")
    pipe.writer.drain(10)
    assert pipe.read() == "a\\ud800\nb\n"


@pytest.mark.usefixtures("counted")
def test_where_nobody_reads_lines_wait_without_holding_anybody_up_and_then_are_dropped(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_LINES", 11)
    pipe.fill()
    began = time.monotonic()
    for number in range(25):
        pipe.writer.write(f"{number}\n")
    assert time.monotonic() - began < 5
    assert dropped() == "15"
    pipe.empty()
    pipe.writer.drain(10)
    assert pipe.read().split() == [str(number) for number in range(10)]
    pipe.writer.write("again\n")
    pipe.writer.drain(10)
    assert (pipe.read(), dropped()) == ("again\n", "15")


@pytest.mark.usefixtures("counted")
def test_lines_for_a_reader_that_has_gone_are_dropped_one_by_one(pipe: Pipe) -> None:
    pipe.hang_up()
    pipe.writer.write("a\n")
    pipe.writer.write("b\n")
    pipe.writer.drain(10)
    assert dropped() == "2"


def test_at_the_end_every_line_is_written_before_the_next_step(pipe: Pipe) -> None:
    pipe.writer.write("before\n")
    pipe.writer.end()
    assert pipe.read() == "before\n"
    pipe.writer.write("after\n")
    assert pipe.read() == "after\n"


def test_at_the_end_a_reader_that_does_not_read_is_waited_for_only_once(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LAST_SECONDS", 0.5)
    pipe.fill()
    began = time.monotonic()
    pipe.writer.end()
    for _ in range(100):
        pipe.writer.write("late\n")
    pipe.writer.end()
    assert 0.5 <= time.monotonic() - began < 10


def ending(statement: str) -> "subprocess.CompletedProcess[str]":
    """A process that writes a line and then ends by `statement`."""
    script = f"""
        import sys
        from edge.logs import writer
        writer().write("the last line\\n")
        {statement}
    """
    return subprocess.run(  # noqa: S603 - a script of this test
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(logs.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(("statement", "status"), [("pass", 0), ("sys.exit(3)", 3)])
def test_the_end_of_the_process_loses_no_line(statement: str, status: int) -> None:
    ended = ending(statement)
    assert (ended.stderr, ended.returncode) == ("the last line\n", status)


def test_a_process_has_one_writer() -> None:
    assert logs.writer() is logs.writer()
