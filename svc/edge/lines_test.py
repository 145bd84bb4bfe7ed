import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import lines, metrics
from edge.lines import Writer

PIPE_BYTES = 1024 * 1024  # more than any pipe holds


class Pipe:
    """A pipe, and the writer of what somebody may read at its other end."""

    def __init__(self) -> None:
        self._end, self._fd = os.pipe()
        self.writer = Writer(self._fd)

    def fill(self) -> None:
        """Hands over more than fits, and waits until the writer is stuck with it."""
        self.writer.write("x" * PIPE_BYTES + "\n")
        while self.writer._waiting.qsize():
            time.sleep(0.001)

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
    monkeypatch.setattr(lines, "MAX_WAITING", 10)
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
    monkeypatch.setattr(lines, "LAST_SECONDS", 0.5)
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
        from edge.lines import writer
        writer().write("the last line\\n")
        {statement}
    """
    return subprocess.run(  # noqa: S603 - a script of this test
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(lines.__file__).parents[1],
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
    assert lines.writer() is lines.writer()
