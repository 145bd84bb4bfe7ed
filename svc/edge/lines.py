"""Writes lines to standard error beside the event loop, so that a slow reader delays no request."""

import atexit
import os
import time
from functools import cache
from queue import SimpleQueue
from threading import Event, Thread

from edge import metrics

STDERR = 2
# Lines that wait for a slow reader: some 3 MB, those of a few seconds under full load.
MAX_WAITING = 10_000
# Seconds between two writes: to wake the thread for each line would take time from the requests.
PAUSE = 0.02
# Seconds that the end of the process waits for the lines that are left.
LAST_SECONDS = 2.0


class Writer:
    """Writes on a thread of its own; lines that do not fit into the queue are dropped and counted.

    It has the one method of a stream that logging needs.
    """

    def __init__(self, fd: int = STDERR) -> None:
        self._fd = fd
        self._waiting = SimpleQueue[str | Event]()
        self._deadline: float | None = None
        Thread(target=self._run, name="log", daemon=True).start()

    def write(self, line: str) -> None:
        """Hands over a line, which brings its line feed; from any thread, and without waiting."""
        if self._waiting.qsize() >= MAX_WAITING:
            metrics.add("log_lines_dropped_total")
            return
        self._waiting.put(line)
        if self._deadline is not None:
            self.drain(self._deadline - time.monotonic())

    def drain(self, seconds: float) -> None:
        """Waits until all that was handed over is written, at most so long."""
        written = Event()
        self._waiting.put(written)
        written.wait(max(0, seconds))

    def end(self) -> None:
        """From now on every line is waited for, at most LAST_SECONDS in all: once the server has
        stopped, a signal may end the process at any moment."""
        self._deadline = self._deadline or time.monotonic() + LAST_SECONDS
        self.drain(self._deadline - time.monotonic())

    def _run(self) -> None:
        while True:
            taken = [self._waiting.get()]
            taken += [self._waiting.get() for _ in range(self._waiting.qsize())]
            lines = "".join(one for one in taken if isinstance(one, str))
            data = lines.encode(errors="backslashreplace")
            try:
                # Not by sys.stderr: its lock would be held as long as the reader is slow.
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:  # nobody reads any more
                metrics.add("log_lines_dropped_total", amount=data.count(b"\n"))
            for one in taken:
                if isinstance(one, Event):
                    one.set()
            time.sleep(PAUSE)


@cache
def writer() -> Writer:
    """The one writer of this process."""
    one = Writer()
    atexit.register(one.end)
    return one
