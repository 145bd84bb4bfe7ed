import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import nan

import pytest

from conftest import free_port
from dev.bench.load import TURN, TURNS, Figures, NotMeasured, figures, load, median, ratio, request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy"
GET = request("GET", "/1")
PAUSE = 0.02


@contextmanager
def server(answer: Callable[[bytes], list[bytes]]) -> Iterator[tuple[int, list[list[bytes]]]]:
    """Its port, and the requests of each connection. Each is answered in the parts that `answer`
    returns, with a PAUSE after each; it hangs up where there are none."""
    seen = list[list[bytes]]()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            requests = list[bytes]()
            seen.append(requests)
            with suppress(ConnectionError):
                while received := self.request.recv(65536):
                    requests.append(received)
                    parts = answer(received)
                    for part in parts:
                        self.request.sendall(part)
                        time.sleep(PAUSE if len(parts) > 1 else 0)
                    if not parts:
                        break

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        serving = threading.Thread(target=listening.serve_forever, args=[0.01])
        serving.start()
        try:
            yield listening.server_address[1], seen
        finally:
            listening.shutdown()
            serving.join()


def test_each_answer_is_counted_and_asked_for_after_the_one_before() -> None:
    with server(lambda _: [OK]) as (port, seen):
        latencies = load(port, [GET], 200, 3, 0.3)
    assert len(seen) == 3
    assert all(one == GET for requests in seen for one in requests)
    # What was under way when the time was up is not counted.
    assert 3 < len(latencies) <= sum(map(len, seen)) <= len(latencies) + 3


def test_a_latency_is_the_time_until_the_whole_answer_was_there() -> None:
    with server(lambda _: [OK[:20], OK[20:-1], OK[-1:]]) as (port, _):
        latencies = load(port, [GET], 200, 1, 0.5)
    assert len(latencies) > 1
    assert min(latencies) > 2 * PAUSE
    # One begins after the other.
    assert sum(latencies) < 0.6


def test_an_answer_without_a_body_is_whole_at_the_end_of_its_head() -> None:
    not_modified = b'HTTP/1.1 304 Not Modified\r\netag: "7"\r\n\r\n'
    with server(lambda _: [not_modified[:30], not_modified[30:]]) as (port, _):
        assert len(load(port, [GET], 304, 2, 0.2)) > 2


def test_a_status_that_was_not_expected_is_told_with_how_often_it_came() -> None:
    answers = iter([OK, BUSY, BUSY])
    with (
        server(lambda _: [next(answers, OK)]) as (port, seen),
        pytest.raises(NotMeasured) as raised,
    ):
        load(port, [GET], 200, 1, 0.2)
    assert str(raised.value) == "instead of 200 the status was 2 times 503"
    assert len(seen[0]) > 3


def test_a_server_that_hangs_up_or_does_not_listen_is_not_measured() -> None:
    with server(lambda _: []) as (port, _), pytest.raises(NotMeasured, match="hung up"):
        load(port, [GET], 200, 1, 5)
    with pytest.raises(ConnectionRefusedError):
        load(free_port(), [GET], 200, 1, 5)


def test_it_ends_in_time_also_where_nobody_answers() -> None:
    began = time.monotonic()
    with server(lambda _: [b"HTTP/1.1 200 OK\r\n"]) as (port, _):
        assert load(port, [GET], 200, 2, 0.2) == []
    assert 0.2 <= time.monotonic() - began < 2


def test_of_many_requests_each_is_sent_and_none_with_the_number_of_another() -> None:
    requests = [request("PUT", f"/{n}", body=f'{{"turn": "{TURN}"}}') for n in range(4)]
    with server(lambda _: [OK]) as (port, seen):
        load(port, requests, 200, 2, 0.3)
        load(port, requests, 200, 2, 0.1)
    sent = [one.decode() for requests in seen for one in requests]
    assert {one.split()[1] for one in sent} == {"/0", "/1", "/2", "/3"}
    turns = [int(match[1]) for one in sent if (match := re.search(r'"turn": "(\d+)"', one))]
    assert len(turns) == len(set(turns)) == len(sent)
    assert all(TURNS[0] <= turn <= TURNS[1] for turn in turns)
    head, _, body = sent[0].partition("\r\n\r\n")
    assert f"\r\nContent-Length: {len(body)}" in head


def test_a_request_that_finds_no_room_at_once_is_sent_whole() -> None:
    large = request("PUT", "/1", body="x" * 8_000_000)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection, suppress(ConnectionError):
                while connection.recv(len(large), socket.MSG_WAITALL) == large:
                    connection.sendall(OK)

        serving = threading.Thread(target=answer)
        serving.start()
        assert load(listening.getsockname()[1], [large], 200, 1, 1)
        serving.join()


def test_a_request_is_what_http_says() -> None:
    assert request("GET", "/1", 'If-None-Match: "7"') == (
        b'GET /1 HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: "7"\r\n\r\n'
    )
    assert request("PUT", "/1", body="{}") == (
        b"PUT /1 HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert b"\r\nContent-Type: application/merge-patch+json\r\n" in request(
        "PATCH", "/1", body="{}"
    )


@pytest.mark.parametrize(
    ("milliseconds", "p50", "p99"),
    [(range(100, 0, -1), 50, 99), (range(1, 1001), 500, 990), ([7, 5, 6], 6, 7), ([5], 5, 5)],
)
def test_figures_are_the_rate_and_the_percentiles_in_milliseconds(
    milliseconds: list[int], p50: float, p99: float
) -> None:
    found = figures([each / 1000 for each in milliseconds], 2)
    assert found == pytest.approx((len(milliseconds) / 2, p50, p99, nan, nan), nan_ok=True)


def test_the_processor_time_of_a_measurement_is_shared_by_its_answers() -> None:
    found = figures([0.001] * 1000, 2, server=0.25, postgres=0.04)
    assert (found.server, found.postgres) == pytest.approx((250, 40))


def test_without_answers_there_are_no_figures() -> None:
    with pytest.raises(NotMeasured, match="no answer within 3 seconds"):
        figures([], 3)


def test_the_median_is_that_of_each_figure() -> None:
    rounds = [Figures(10, 3, 50, 7, 4), Figures(30, 1, 40, 9, 6), Figures(20, 2, 90, 8, 5)]
    assert median(rounds) == Figures(20, 2, 50, 8, 5)


def test_a_ratio_compares_what_was_measured_in_the_same_round() -> None:
    ours = [Figures(rate, 1, 1) for rate in (10, 20, 90)]
    limit = [Figures(rate, 1, 1) for rate in (20, 100, 100)]
    assert ratio(ours, limit) == 0.5
