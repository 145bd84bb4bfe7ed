"""Lines of log in one form, written beside the event loop: a slow reader delays no request."""

import atexit
import json
import logging
import os
import time
from datetime import UTC, datetime
from functools import cache
from threading import Event, Thread
from traceback import format_tb

import psycopg2

from edge import metrics

STDERR = 2
# Lines that a slow reader may leave: some 3 MB, those of a few seconds under full load.
MAX_LINES = 10_000
# Seconds between two writes: to wake the thread for each line would take time from the requests.
PAUSE = 0.02
# Seconds that the end of the process waits for the lines that are left.
LAST_SECONDS = 2.0


class Lines(logging.Formatter):
    """Makes a line of JSON with `time` (RFC 3339, UTC), `level` and `message`, or one for a person.

    Of an exception, JSON has only its class and the places it passed, because its text may hold a
    document. A person is shown the text too, unless it is PostgreSQL's, which quotes documents.
    """

    def __init__(self, form: str) -> None:
        super().__init__()
        self._is_json = form == "json"

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its line feed."""
        at, level = datetime.fromtimestamp(record.created, UTC), record.levelname
        message = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            message += f": {self._told(record.exc_info[1])}"
        if not self._is_json:
            return f"{at:%H:%M:%S} {level:7} {message}"
        time = at.isoformat(timespec="milliseconds")
        return json.dumps({"time": time, "level": level, "message": message})

    def _told(self, error: BaseException) -> str:
        """What may be logged of an exception."""
        named = type(error).__name__
        if isinstance(error, psycopg2.Error):
            named += f" (SQLSTATE {error.pgcode})" if error.pgcode else ""
        elif not self._is_json:
            named += f": {error}"
        return f"{named} at\n{''.join(format_tb(error.__traceback__))}"


class Writer:
    """Writes on a thread of its own; lines for which there is no room are dropped and counted.

    It has the one method of a stream that logging needs.
    """

    def __init__(self, fd: int = STDERR) -> None:
        self._fd, self._lines, self._has_lines = fd, list[str](), Event()
        self._deadline: float | None = None
        Thread(target=self._run, name="log", daemon=True).start()

    def write(self, line: str) -> None:
        """Hands over a line, which brings its line feed; from any thread, and without waiting."""
        if len(self._lines) < MAX_LINES:
            self._lines.append(line)
            self._has_lines.set()
        else:
            metrics.add("log_lines_dropped_total")
        if self._deadline is not None:
            self.end()

    def drain(self, seconds: float) -> None:
        """Waits until all that was handed over is written, at most so long."""
        deadline = time.monotonic() + seconds
        while self._lines and time.monotonic() < deadline:
            time.sleep(PAUSE / 10)

    def end(self) -> None:
        """From now on every line is waited for, at most LAST_SECONDS in all: once the server has
        stopped, a signal may end the process at any moment."""
        self._deadline = self._deadline or time.monotonic() + LAST_SECONDS
        self.drain(self._deadline - time.monotonic())

    def _run(self) -> None:
        while True:
            self._has_lines.wait()
            self._has_lines.clear()
            lines = self._lines.copy()
            data = "".join(lines).encode(errors="backslashreplace")
            try:
                # Not by sys.stderr: its lock would be held as long as the reader is slow.
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:  # nobody reads any more
                metrics.add("log_lines_dropped_total", amount=data.count(b"\n"))
            del self._lines[: len(lines)]
            time.sleep(PAUSE)


@cache
def writer() -> Writer:
    """The one writer of this process, to standard error."""
    one = Writer()
    atexit.register(one.end)
    return one


def install(level: str, form: str) -> Writer:
    """Makes all loggers, uvicorn's too, write in this form by the writer that is returned."""
    handler = logging.StreamHandler(writer())
    handler.setFormatter(Lines(form))
    logging.basicConfig(level=level, handlers=[handler])
    # `edge.requests` logs by routes: uvicorn's own lines of requests hold the path and the query.
    for name, goes_on in {"uvicorn": True, "uvicorn.error": True, "uvicorn.access": False}.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], goes_on
        logger.setLevel(logging.NOTSET)
    return writer()
