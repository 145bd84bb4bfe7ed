"""Counts what happens, for Prometheus, in all worker processes of a service together.

Each process counts in a file of its own, mapped into memory, in a folder that it shares with its
siblings. The one that is scraped adds up all files, also those of processes that have ended, so
that a counter never goes back.
"""

import fcntl
import hashlib
import json
import multiprocessing
import os
import secrets
import shutil
import tempfile
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from mmap import mmap
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

# A file has so many numbers of 8 bytes, and behind them a line for each series: where its numbers
# begin, its name and its labels.
NUMBERS = 65_536
# Not the name of earlier versions, which hold no lock: one may still run on this machine.
FOLDERS = "config-service-metrics-"
# How long a new folder may have no living process: its first one may just be starting.
STARTING_SECONDS = 60

REQUESTS, DURATION = "http_requests_total", "http_request_duration_seconds"
BUILD = "config_service_build_info"
# The upper bounds of each histogram.
BUCKETS: dict[str, tuple[float, ...]] = {
    DURATION: (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    "database_batch_size": (1, 2, 5, 10, 20, 50, 100),
}
# Name, type and help of each, in the order of the answer.
METRICS = [
    line.split(" ", 2)
    for line in """\
http_requests_total counter Requests that were answered.
http_request_duration_seconds histogram How long the answers took.
database_pool_size gauge Connections that the pool may open.
database_pool_in_use gauge Connections that are running a statement.
database_errors_total counter Errors of PostgreSQL, by SQLSTATE.
database_batch_size histogram How many requests a batch held.
database_batch_fallbacks_total counter Requests of a batch that were sent alone again.
answers_remembered_bytes gauge Memory of the answers that are remembered.
answers_reused_total counter Answers that PostgreSQL did not print again.
background_failures_total counter Unexpected failures of background tasks, by task.
watchers gauge Requests that wait for a change.
log_lines_dropped_total counter Log lines that nobody read in time.
config_service_build_info gauge The version, as a label; always 1.
""".splitlines()
]
GAUGES = {name for name, kind, _ in METRICS if kind == "gauge"}

_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

type Labels = tuple[tuple[str, str], ...]


class Registry:
    """The numbers of this process, and the sums over it and its siblings.

    A series has one number; that of a histogram has one for each bucket, and the sum of the values.
    """

    def __init__(self) -> None:
        # A parent hands its authkey, random bytes, to the workers that it starts, and to no other.
        family = hashlib.sha256(multiprocessing.current_process().authkey).hexdigest()[:16]
        self._folder = Path(tempfile.gettempdir(), f"{FOLDERS}{family}")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # No process id: a later process may get the same one. Earlier versions, which may still run
        # on this machine, sweep a folder without a locked file of this suffix.
        own = self._folder / f"{secrets.token_hex(8)}.values"
        self._file = own.open("x+b", buffering=0)
        # The lock says that the process lives: it goes with the process, however that ends.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        # Written and not only made so long: on a disk that is full the start fails, and not the
        # first request that counts, by SIGBUS.
        self._file.write(bytes(8 * NUMBERS))
        self._numbers = memoryview(mmap(self._file.fileno(), 8 * NUMBERS)).cast("d")
        self._series = dict[tuple[str, Labels], int]()
        self._end = 0
        self._lock = threading.Lock()
        _sweep(self._folder.parent)

    def add(self, name: str, labels: Labels, *amounts: tuple[int, float]) -> None:
        """Adds to the numbers of a series, each given by its index; from any thread."""
        with self._lock:
            begin = self._series.get((name, labels))
            if begin is None:
                begin = self._series[name, labels] = self._end
                self._end += _size(name)
                self._file.write(json.dumps([begin, name, labels]).encode() + b"\n")
            for index, amount in amounts:
                self._numbers[begin + index] += amount

    def sums(self) -> dict[str, dict[Labels, list[float]]]:
        """The series of each name; of processes that have ended, their gauges are left out."""
        sums = defaultdict[str, dict[Labels, list[float]]](dict)
        for file in self._folder.glob("*.values"):
            ended, content = not _is_alive(file), file.read_bytes()
            numbers = memoryview(content[: 8 * NUMBERS]).cast("d")
            for line in content[8 * NUMBERS :].splitlines():
                begin, name, pairs = json.loads(line)
                if not (ended and name in GAUGES):
                    labels = tuple((label, value) for label, value in pairs)
                    own = numbers[begin : begin + _size(name)]
                    others = sums[name].get(labels, [0] * len(own))
                    sums[name][labels] = [a + b for a, b in zip(own, others, strict=True)]
        return sums

    def close(self) -> None:
        """Ends the counting; removes the folder where no sibling counts in it."""
        self._numbers.release()
        self._file.close()
        _remove_unless_alive(self._folder)


def _size(name: str) -> int:
    """How many numbers a series has: with the bucket beyond all bounds, and the sum."""
    return len(BUCKETS[name]) + 2 if name in BUCKETS else 1


def _is_alive(file: Path) -> bool:
    """Whether the process that counts in this file is alive: it holds the lock."""
    with suppress(FileNotFoundError), file.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _remove_unless_alive(folder: Path) -> None:
    """Removes the folder where no process of its family is alive."""
    if not any(map(_is_alive, folder.glob("*.values"))):
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Removes what killed processes of this user left."""
    for folder in parent.glob(f"{FOLDERS}*"):
        with suppress(FileNotFoundError):  # another process sweeps too
            status = folder.lstat()
            settled = time.time() - status.st_mtime > STARTING_SECONDS
            if status.st_uid == os.geteuid() and settled:
                _remove_unless_alive(folder)


_registry: Registry | None = None


@contextmanager
def opened(version: str) -> Iterator[None]:
    """Counts for the time of the block; outside of one, nothing is counted.

    What is told from the start is told as 0, so that the first one counts as an increase.
    """
    global _registry  # noqa: PLW0603 - there is one for each process
    _registry = Registry()
    add(BUILD, (("version", version),))
    for name in ("watchers", "log_lines_dropped_total"):
        add(name, amount=0)
    try:
        yield
    finally:
        _registry.close()
        _registry = None


def add(name: str, labels: Labels = (), amount: float = 1) -> None:
    """Adds `amount` to the series of `name` with these labels."""
    if _registry is not None:
        _registry.add(name, labels, (0, amount))


def observe(name: str, value: float, labels: Labels = ()) -> None:
    """Counts `value` in the histogram `name` with these labels."""
    if _registry is not None:
        bounds = BUCKETS[name]
        _registry.add(name, labels, (bisect_left(bounds, value), 1), (len(bounds) + 1, value))


async def get_metrics(_: Request) -> Response:
    """Answers Prometheus."""
    media_type = "text/plain; version=0.0.4; charset=utf-8"
    return Response(exposition(), headers={"Content-Type": media_type})


def exposition() -> str:
    """All metrics in Prometheus' text format, version 0.0.4."""
    sums = {} if _registry is None else _registry.sums()
    sums[REQUESTS] = {labels: [sum(some[:-1])] for labels, some in sums.get(DURATION, {}).items()}
    sums[BUILD] = {labels: [1] for labels in sums.get(BUILD, {})}  # however many processes
    lines = []
    for name, kind, about in METRICS:
        lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
        bounds = [*map(str, BUCKETS.get(name, ())), "+Inf"]
        for labels, (*counts, total) in sorted(sums.get(name, {}).items()):
            for bound, below in zip(bounds, accumulate(counts), strict=False):
                lines.append(_sample(f"{name}_bucket", (*labels, ("le", bound)), below))
            lines.append(_sample(f"{name}_sum" if counts else name, labels, total))
            if counts:
                lines.append(_sample(f"{name}_count", labels, sum(counts)))
    return "\n".join(lines) + "\n"


def _sample(name: str, labels: Labels, value: float) -> str:
    number = str(value).removesuffix(".0")
    told = ",".join(f'{label}="{text.translate(_ESCAPED)}"' for label, text in labels)
    return f"{name}{{{told}}} {number}" if labels else f"{name} {number}"
