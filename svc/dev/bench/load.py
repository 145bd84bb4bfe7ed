"""The load generator of `make bench`, and the figures that its answers give.

It shares the machine with what it measures, and so does as little for a request as it can.
"""

import random
import re
import selectors
import socket
import statistics
import time
from collections import Counter
from contextlib import ExitStack
from itertools import count, cycle
from math import nan
from typing import NamedTuple

# Stands in a request for one of these numbers, another each time, so that no two requests are the
# same. It is as long as they are, so that Content-Length stays true, and a variable of pgbench.
TURN = ":the_turn"
TURNS = (100_000_000, 999_999_999)
_turns = count(TURNS[0])  # of all that this process loads, so that what is created has a new name


class NotMeasured(Exception):
    """There are no figures; the message says why."""


class Figures(NamedTuple):
    """Answers per second, the milliseconds within which 50 and 99 of 100 of them came, and the
    microseconds of processor time that the server and PostgreSQL took for each, nan if unknown."""

    rate: float
    p50: float
    p99: float
    server: float = nan
    postgres: float = nan


def figures(
    latencies: list[float], seconds: float, server: float = nan, postgres: float = nan
) -> Figures:
    """The figures of the answers that came in so many seconds, each given as the seconds it took,
    and of the seconds of processor time that all of them took.

    Raises NotMeasured where there are none.
    """
    answers = len(latencies)
    if not answers:
        raise NotMeasured(f"no answer within {seconds} seconds")
    p50, p99 = (1000 * percentile(latencies, share) for share in (50, 99))
    return Figures(answers / seconds, p50, p99, 1e6 * server / answers, 1e6 * postgres / answers)


def percentile(values: list[float], share: int) -> float:
    """The smallest of `values` that at least `share` of 100 of them do not exceed."""
    return sorted(values)[-(-len(values) * share // 100) - 1]


def median(rounds: list[Figures]) -> Figures:
    """The median of each figure."""
    return Figures(*map(statistics.median, zip(*rounds, strict=True)))


def ratio(ours: list[Figures], limit: list[Figures]) -> float:
    """The median over the rounds of our rate divided by the limit's in the same round."""
    return statistics.median(one.rate / most.rate for one, most in zip(ours, limit, strict=True))


def request(method: str, path: str, *headers: str, body: str = "") -> bytes:
    """A request as it goes over the wire; all of it is ASCII."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body:
        media_type = "merge-patch+json" if method == "PATCH" else "json"
        lines += [f"Content-Type: application/{media_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body]).encode("ascii")


class _Client:
    """A connection that is kept alive, with one request under way."""

    def __init__(self, port: int) -> None:
        # It blocks, because a large request may find no room at once.
        self.socket = socket.create_connection(("127.0.0.1", port))

    def ask(self, request: bytes) -> None:
        """Sends the request."""
        self._asked, self._received = time.perf_counter(), b""
        self.socket.sendall(request)

    def answer(self) -> tuple[int, float] | None:
        """Status and seconds of the answer once it is whole, None while more is to come.

        To be called where there is something to read.
        """
        more = self.socket.recv(65536)
        if not more:
            raise NotMeasured("the server hung up")
        self._received += more
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if not end or (length and len(body) < int(length[1])):
            return None
        return int(head.split(b" ", 2)[1]), time.perf_counter() - self._asked


def load(
    port: int, requests: list[bytes], expected: int, connections: int, seconds: float
) -> list[float]:
    """How long each answer took, in seconds. On each connection one request follows the other,
    each chosen among `requests`.

    Raises NotMeasured where a status is another than `expected` or the server hangs up, and OSError
    where it does not listen.
    """
    # Chosen before the time is measured.
    chosen = cycle(random.choices(requests, k=20 * len(requests)))  # noqa: S311
    turned = (next(chosen).replace(TURN.encode(), b"%d" % turn) for turn in _turns)
    latencies, others = list[float](), Counter[int]()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(connections):
            client = _Client(port)
            stack.enter_context(client.socket)
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask(next(turned))
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            for key, _ in selector.select(left):
                client = key.data
                if answer := client.answer():
                    status, latency = answer
                    if status == expected:
                        latencies.append(latency)
                    else:
                        others[status] += 1
                    client.ask(next(turned))
    if others:
        counted = ", ".join(f"{times} times {status}" for status, times in others.items())
        raise NotMeasured(f"instead of {expected} the status was {counted}")
    return latencies
