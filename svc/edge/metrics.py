"""Counts what happens, for Prometheus, in all worker processes of a service together.

Each process counts in a file of its own, mapped into memory, in a folder that it shares with its
siblings: whichever of them is scraped adds up all, also those that have ended, so that a counter
never goes back.
"""

import hashlib
import json
import math
import multiprocessing
import os
import tempfile
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from mmap import mmap
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SLOTS = 65_536
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

# Name, type and help of each, in the order of the answer.
METRICS = [
    ("http_requests_total", "counter", "Requests that were answered."),
    ("http_request_duration_seconds", "histogram", "How long the answers took."),
    ("database_pool_size", "gauge", "Connections that the pool may open."),
    ("database_pool_in_use", "gauge", "Connections that are running a statement."),
    ("database_errors_total", "counter", "Errors of PostgreSQL, by SQLSTATE."),
    ("watchers", "gauge", "Requests that wait for a change."),
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
        self._folder = Path(tempfile.gettempdir(), f"config-service-{family}")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        own = self._folder / str(os.getpid())
        with own.with_suffix(".values").open("w+b") as file:
            file.truncate(SLOTS * 8)
            self._map = mmap(file.fileno(), SLOTS * 8)
        self._values = memoryview(self._map).cast("d")
        self._keys = own.with_suffix(".keys").open("w")
        self._live = own.with_suffix(".live")
        self._live.touch()
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
            ended = not _is_live(keys)
            values = memoryview(keys.with_suffix(".values").read_bytes()).cast("d")
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
        self._live.unlink()
        if not any(map(_is_live, self._folder.glob("*.keys"))):
            for file in self._folder.iterdir():
                file.unlink(missing_ok=True)
            with suppress(OSError):
                self._folder.rmdir()


def _is_live(keys: Path) -> bool:
    """Whether the process of this file still counts: it has not ended, nor was it killed."""
    with suppress(PermissionError):
        try:
            os.kill(int(keys.stem), 0)
        except ProcessLookupError:
            return False
    return keys.with_suffix(".live").exists()


_registry: Registry | None = None


@contextmanager
def opened(version: str) -> Iterator[None]:
    """Counts for the time of the block; outside of one, nothing is counted."""
    global _registry  # noqa: PLW0603 - there is one for each process
    _registry = Registry()
    _registry.version = version
    add("watchers", amount=0)
    try:
        yield
    finally:
        _registry.close()
        _registry = None


def add(name: str, labels: Labels = (), amount: float = 1) -> None:
    """Adds `amount` to the series of `name` with these labels."""
    if _registry is not None:
        _registry.add(name, labels, amount)


def observe(name: str, value: float) -> None:
    """Stub: the edge engineer's."""


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Counts one answered request, and how long it took."""
    labels, bounded = _request_labels(method, route, status)
    # The total is the sum of these.
    add("http_request_duration_seconds", bounded[bisect_left(BUCKETS, seconds)])
    add("http_request_duration_seconds_sum", labels, seconds)


@cache
def _request_labels(method: str, route: str, status: int) -> tuple[Labels, list[Labels]]:
    """The labels of a series, and with each bound of the histogram."""
    labels = (("method", method), ("route", route), ("status", str(status)))
    return labels, [(*labels, ("le", bound)) for bound in (*map(str, BUCKETS), "+Inf")]


def exposition() -> str:
    """All metrics in Prometheus' text format, version 0.0.4."""
    sums = {}
    if _registry is not None:
        sums = _registry.sums()
        for (*labels, _), number in sums.get("http_request_duration_seconds", {}).items():
            sums["http_requests_total"][tuple(labels)] += number
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
        for bound in (*map(str, BUCKETS), "+Inf"):
            below += counts.get((*labels, ("le", bound)), 0)
            yield _sample(f"{name}_bucket", (*labels, ("le", bound)), below)
        yield _sample(f"{name}_sum", labels, total)
        yield _sample(f"{name}_count", labels, below)


def _sample(name: str, labels: Labels, value: float) -> str:
    number = str(int(value)) if value.is_integer() and math.isfinite(value) else repr(value)
    return f"{name}{{{','.join(map(_label, labels))}}} {number}" if labels else f"{name} {number}"


def _label(pair: tuple[str, str]) -> str:
    value = pair[1].replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{pair[0]}="{value}"'
