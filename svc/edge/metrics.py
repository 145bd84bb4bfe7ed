"""Counts what happens, for Prometheus, in all worker processes of a service together.

Each process counts in a file of its own, mapped into memory, in a folder that it shares with its
siblings. The one that is scraped adds up all files, also those of processes that have ended, so
that a counter never goes back.
"""

import fcntl
import hashlib
import json
import math
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
from functools import cache
from mmap import mmap
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

SLOTS = 65_536
# Not the name of earlier versions, which hold no lock: one may still run on this machine.
FOLDERS = "config-service-metrics-"
# How long a new folder may have no living process: its first one may just be starting.
STARTING_SECONDS = 60

REQUESTS, DURATION = "http_requests_total", "http_request_duration_seconds"
# The upper bounds of each histogram.
BUCKETS: dict[str, tuple[float, ...]] = {
    DURATION: (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    "database_batch_size": (1, 2, 5, 10, 20, 50, 100),
}
# Name, type and help of each, in the order of the answer.
METRICS = [
    (REQUESTS, "counter", "Requests that were answered."),
    (DURATION, "histogram", "How long the answers took."),
    ("database_pool_size", "gauge", "Connections that the pool may open."),
    ("database_pool_in_use", "gauge", "Connections that are running a statement."),
    ("database_errors_total", "counter", "Errors of PostgreSQL, by SQLSTATE."),
    ("database_batch_size", "histogram", "How many requests a batch held."),
    (
        "database_batch_fallbacks_total",
        "counter",
        "Requests of a batch that were sent alone again.",
    ),
    ("answers_remembered_bytes", "gauge", "Memory of answers that are remembered."),
    ("answers_reused_total", "counter", "Answers that PostgreSQL did not print again."),
    ("background_failures_total", "counter", "Unexpected failures of background tasks, by task."),
    ("watchers", "gauge", "Requests that wait for a change."),
    ("log_lines_dropped_total", "counter", "Log lines that nobody read in time."),
    ("config_service_build_info", "gauge", "The version, as a label; always 1."),
]
GAUGES = {name for name, kind, _ in METRICS if kind == "gauge"}

type Labels = tuple[tuple[str, str], ...]
type Series = dict[Labels, float]


class Registry:
    """The numbers of this process, and the sums over it and its siblings."""

    version = ""

    def __init__(self) -> None:
        # A parent hands its authkey, random bytes, to the workers that it starts, and to no other.
        family = hashlib.sha256(multiprocessing.current_process().authkey).hexdigest()[:16]
        self._folder = Path(tempfile.gettempdir(), f"{FOLDERS}{family}")
        _sweep(self._folder)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # No process id: a later process may get the same one.
        own = self._folder / secrets.token_hex(8)
        self._file = own.with_suffix(".values").open("x+b")
        # The lock says that the process lives: it goes with the process, however that ends.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._file.truncate(SLOTS * 8)
        self._map = mmap(self._file.fileno(), SLOTS * 8)
        self._values = memoryview(self._map).cast("d")
        self._keys = own.with_suffix(".keys").open("x")
        self._slots = dict[tuple[str, Labels], int]()
        self._lock = threading.Lock()

    def add(self, name: str, labels: Labels, amount: float) -> None:
        """Adds to a number, which begins at 0; from any thread."""
        with self._lock:
            slot = self._slots.get((name, labels))
            if slot is None:
                slot = self._slots[name, labels] = len(self._slots)
                self._keys.write(json.dumps([name, labels]) + "\n")
                self._keys.flush()
            self._values[slot] += amount

    def sums(self) -> dict[str, Series]:
        """The series of each name; of processes that have ended, their gauges are left out."""
        sums: dict[str, Series] = defaultdict(lambda: defaultdict(float))
        for keys in self._folder.glob("*.keys"):
            file = keys.with_suffix(".values")
            ended, values = not _is_alive(file), memoryview(file.read_bytes()).cast("d")
            for slot, line in enumerate(keys.read_text().splitlines()):
                name, labels = json.loads(line)
                if not (ended and name in GAUGES):
                    key = tuple((label, value) for label, value in labels)
                    sums[name][key] += values[slot]
        return sums

    def close(self) -> None:
        """Ends the counting; removes the folder where no sibling counts in it."""
        self._keys.close()
        self._values.release()
        self._map.close()
        self._file.close()
        _remove_unless_alive(self._folder)


def _is_alive(values: Path) -> bool:
    """Whether the process that counts in this file is alive: it holds the lock."""
    with suppress(FileNotFoundError), values.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _remove_unless_alive(folder: Path) -> None:
    """Removes the folder where no process of its family is alive."""
    if not any(map(_is_alive, folder.glob("*.values"))):
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(own: Path) -> None:
    """Removes what killed processes of this user left, except the counters of the own family."""
    for folder in own.parent.glob(f"{FOLDERS}*"):
        with suppress(FileNotFoundError):  # another process sweeps too
            status = folder.lstat()
            settled = time.time() - status.st_mtime > STARTING_SECONDS
            if folder != own and status.st_uid == os.geteuid() and settled:
                _remove_unless_alive(folder)


_registry: Registry | None = None


@contextmanager
def opened(version: str) -> Iterator[None]:
    """Counts for the time of the block; outside of one, nothing is counted.

    What is told from the start is told as 0, so that the first one counts as an increase.
    """
    global _registry  # noqa: PLW0603 - there is one for each process
    _registry = Registry()
    _registry.version = version
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
        _registry.add(name, labels, amount)


def observe(name: str, value: float, labels: Labels = ()) -> None:
    """Counts `value` in the histogram `name` with these labels."""
    add(name, _bounded(name, labels)[bisect_left(BUCKETS[name], value)])
    add(f"{name}_sum", labels, value)


@cache
def _bounded(name: str, labels: Labels) -> list[Labels]:
    """The labels with each upper bound of the histogram."""
    return [(*labels, ("le", bound)) for bound in (*map(str, BUCKETS[name]), "+Inf")]


async def get_metrics(_: Request) -> Response:
    """Answers Prometheus."""
    media_type = "text/plain; version=0.0.4; charset=utf-8"
    return Response(exposition(), headers={"Content-Type": media_type})


def exposition() -> str:
    """All metrics in Prometheus' text format, version 0.0.4."""
    sums = {}
    if _registry is not None:
        sums = _registry.sums()
        for (*labels, _), number in sums.get(DURATION, {}).items():
            sums[REQUESTS][tuple(labels)] += number
        sums["config_service_build_info"] = {(("version", _registry.version),): 1.0}
    lines = []
    for name, kind, about in METRICS:
        lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
        series = sums.get(name, {})
        if kind == "histogram":
            lines += _histogram(name, series, sums.get(f"{name}_sum", {}))
        else:
            lines += [_sample(name, labels, value) for labels, value in sorted(series.items())]
    return "\n".join(lines) + "\n"


def _histogram(name: str, counts: Series, totals: Series) -> Iterator[str]:
    for labels, total in sorted(totals.items()):
        below = 0.0
        for bounded in _bounded(name, labels):
            below += counts.get(bounded, 0)
            yield _sample(f"{name}_bucket", bounded, below)
        yield _sample(f"{name}_sum", labels, total)
        yield _sample(f"{name}_count", labels, below)


def _sample(name: str, labels: Labels, value: float) -> str:
    number = str(int(value)) if value.is_integer() and math.isfinite(value) else repr(value)
    return f"{name}{{{','.join(map(_label, labels))}}} {number}" if labels else f"{name} {number}"


def _label(pair: tuple[str, str]) -> str:
    value = pair[1].replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{pair[0]}="{value}"'
