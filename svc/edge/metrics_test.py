import fcntl
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from edge import metrics
from edge.metrics import Registry

ERRORS = "database_errors_total"


class Family:
    """Processes that count in the one folder in `tmp`: this one, and those that `process` adds."""

    def __init__(self, tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tmp = tmp
        self._registries = list[Registry]()
        monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp))

    def process(self) -> Registry:
        """What another process of the family counts with."""
        registry = Registry()
        self._registries.append(registry)
        return registry

    def close(self, registry: Registry) -> None:
        """Ends the process that counts with it."""
        registry.close()
        self._registries.remove(registry)

    def end(self) -> None:
        """Ends those that are left."""
        for registry in self._registries:
            registry.close()


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Family]:
    family = Family(tmp_path, monkeypatch)
    yield family
    family.end()


@pytest.fixture
def counting(family: Family) -> Iterator[Family]:
    with metrics.opened("1.2.3"):
        yield family


def samples(name: str) -> list[str]:
    """The lines of the metric `name`, without HELP and TYPE."""
    lines = metrics.exposition().splitlines()
    return [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]


def request(method: str, route: str, status: int, seconds: float) -> None:
    """Counts a request."""
    labels = (("method", method), ("route", route), ("status", str(status)))
    metrics.observe(metrics.DURATION, seconds, labels)


@pytest.mark.usefixtures("counting")
def test_each_metric_has_its_help_and_its_type_once_before_its_samples() -> None:
    request("GET", "/things", 200, 0.5)
    metrics.add(ERRORS, (("sqlstate", "23505"),))
    metrics.add("database_pool_size")
    metrics.add("database_pool_in_use")
    metrics.observe("database_batch_size", 3)
    metrics.add("database_batch_fallbacks_total", amount=2)
    metrics.add("answers_remembered_bytes", amount=1500)
    metrics.add("answers_reused_total")
    metrics.add("background_failures_total", (("task", "listening"),))
    lines = metrics.exposition().splitlines()
    expected = {
        "http_requests_total": "counter",
        "http_request_duration_seconds": "histogram",
        "database_pool_size": "gauge",
        "database_pool_in_use": "gauge",
        "database_errors_total": "counter",
        "database_batch_size": "histogram",
        "database_batch_fallbacks_total": "counter",
        "answers_remembered_bytes": "gauge",
        "answers_reused_total": "counter",
        "background_failures_total": "counter",
        "watchers": "gauge",
        "log_lines_dropped_total": "counter",
        "config_service_build_info": "gauge",
    }
    told = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert told == list(expected)
    for name, kind in expected.items():
        [about] = [at for at, line in enumerate(lines) if line.startswith(f"# HELP {name} ")]
        assert len(lines[about].split()) > 3
        assert lines[about + 1] == f"# TYPE {name} {kind}"
        assert lines[about + 2].startswith(name)
    assert sum(line.startswith("# TYPE ") for line in lines) == len(expected)


@pytest.mark.usefixtures("counting")
def test_the_text_ends_with_a_line_feed_and_has_no_empty_line() -> None:
    text = metrics.exposition()
    assert text.endswith("\n")
    assert "" not in text.removesuffix("\n").split("\n")


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("plain", "plain"),
        ("a\\b", r"a\\b"),
        ('a"b', r"a\"b"),
        ("a\nb", r"a\nb"),
        ("\\n", r"\\n"),
        ('\\"\n', r"\\\"\n"),
        ("é {},=", "é {},="),
        ("a\u2028b\x85c\rd", "a\u2028b\x85c\rd"),
    ],
)
def test_backslash_quote_and_line_feed_of_a_label_are_escaped(value: str, told: str) -> None:
    metrics.add(ERRORS, (("sqlstate", value),))
    assert f'\n{ERRORS}{{sqlstate="{told}"}} 1\n' in metrics.exposition()


@pytest.mark.usefixtures("counting")
def test_a_metric_is_summed_for_each_set_of_labels() -> None:
    metrics.add(ERRORS, (("sqlstate", "b"),), 2)
    metrics.add(ERRORS, (("sqlstate", "a"),))
    metrics.add(ERRORS, (("sqlstate", "b"),), 0.25)
    assert samples(ERRORS) == [f'{ERRORS}{{sqlstate="a"}} 1', f'{ERRORS}{{sqlstate="b"}} 2.25']


@pytest.mark.usefixtures("counting")
def test_a_gauge_goes_down_as_well() -> None:
    metrics.add("watchers")
    metrics.add("watchers")
    metrics.add("watchers", amount=-1)
    assert samples("watchers") == ["watchers 1"]


@pytest.mark.usefixtures("counting")
def test_the_version_no_watchers_and_no_dropped_lines_are_told_from_the_start() -> None:
    assert samples("config_service_build_info") == ['config_service_build_info{version="1.2.3"} 1']
    assert samples("watchers") == ["watchers 0"]
    assert samples("log_lines_dropped_total") == ["log_lines_dropped_total 0"]


@pytest.mark.usefixtures("counting")
def test_requests_are_counted_by_method_route_and_status() -> None:
    for method, route, status in [
        ("GET", "/a", 200),
        ("GET", "/a", 200),
        ("PUT", "/a", 200),
        ("GET", "/b", 200),
        ("GET", "/a", 404),
    ]:
        request(method, route, status, 0.5)
    assert samples("http_requests_total") == [
        'http_requests_total{method="GET",route="/a",status="200"} 2',
        'http_requests_total{method="GET",route="/a",status="404"} 1',
        'http_requests_total{method="GET",route="/b",status="200"} 1',
        'http_requests_total{method="PUT",route="/a",status="200"} 1',
    ]


def buckets(labels: str) -> dict[float, int]:
    """The count of each bucket of the histogram, by its upper bound, in the order of the text."""
    start = f'http_request_duration_seconds_bucket{{{labels},le="'
    lines = [line.removeprefix(start) for line in samples("http_request_duration_seconds_bucket")]
    pairs = [line.split('"} ') for line in lines if '"} ' in line and "{" not in line]
    return {float(bound): int(count) for bound, count in pairs}


@pytest.mark.usefixtures("counting")
def test_buckets_are_cumulative_and_the_last_is_the_count() -> None:
    durations = [0.0005, 0.001, 0.0011, 0.3, 0.5, 1, 59, 60, 61, 1000]
    for seconds in durations:
        request("GET", "/a", 200, seconds)
    labels = 'method="GET",route="/a",status="200"'
    told = buckets(labels)
    assert list(told) == [*metrics.BUCKETS[metrics.DURATION], math.inf]
    for bound, count in told.items():
        assert count == sum(seconds <= bound for seconds in durations), bound
    assert samples("http_request_duration_seconds_count") == [
        f"http_request_duration_seconds_count{{{labels}}} {told[math.inf]}"
    ]
    [total] = samples("http_request_duration_seconds_sum")
    assert total.startswith(f"http_request_duration_seconds_sum{{{labels}}} ")
    assert float(total.split()[-1]) == pytest.approx(sum(durations))


@pytest.mark.usefixtures("counting")
def test_each_route_has_buckets_of_its_own() -> None:
    request("GET", "/a", 200, 0.5)
    request("GET", "/a", 200, 100)
    request("GET", "/b", 200, 100)
    assert buckets('method="GET",route="/a",status="200"')[60] == 1
    assert buckets('method="GET",route="/b",status="200"')[60] == 0
    assert buckets('method="GET",route="/b",status="200"')[math.inf] == 1


@pytest.mark.usefixtures("counting")
def test_a_histogram_may_have_no_labels_and_bounds_of_its_own() -> None:
    for size in (1, 2, 3, 100, 101):
        metrics.observe("database_batch_size", size)
    bounds = [
        ("1", 1),
        ("2", 2),
        ("5", 3),
        ("10", 3),
        ("20", 3),
        ("50", 3),
        ("100", 4),
        ("+Inf", 5),
    ]
    assert samples("database_batch_size_bucket") == [
        f'database_batch_size_bucket{{le="{bound}"}} {count}' for bound, count in bounds
    ]
    assert samples("database_batch_size_sum") == ["database_batch_size_sum 207"]
    assert samples("database_batch_size_count") == ["database_batch_size_count 5"]


def test_what_siblings_count_is_added_up_whichever_is_asked(family: Family) -> None:
    first, second = family.process(), family.process()
    first.add(ERRORS, (("sqlstate", "only first"),), (0, 1))
    first.add(ERRORS, (("sqlstate", "both"),), (0, 2))
    second.add(ERRORS, (("sqlstate", "both"),), (0, 3))
    second.add("watchers", (), (0, 4))
    first.add("watchers", (), (0, 5))
    for registry in (first, second):
        assert registry.sums() == {
            ERRORS: {(("sqlstate", "only first"),): [1], (("sqlstate", "both"),): [5]},
            "watchers": {(): [9]},
        }


def test_the_exposition_tells_of_the_siblings_too(counting: Family) -> None:
    sibling = counting.process()
    sibling.add("watchers", (), (0, 2))
    metrics.add("watchers")
    assert samples("watchers") == ["watchers 3"]


def test_another_family_counts_for_itself(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    first = family.process()
    first.add("watchers", (), (0, 1))
    process = metrics.multiprocessing.current_process()  # type: ignore[attr-defined]
    monkeypatch.setattr(process, "authkey", b"another")
    assert family.process().sums() == {}


def test_an_ended_process_keeps_its_counters_and_loses_its_gauges(family: Family) -> None:
    lasting, ending = family.process(), family.process()
    for registry in (lasting, ending):
        for name in metrics.GAUGES | {"http_requests_total", ERRORS}:
            registry.add(name, (), (0, 1))
    assert all(values == {(): [2]} for values in lasting.sums().values())
    family.close(ending)
    sums = {name: number for name, values in lasting.sums().items() for number in values[()]}
    assert sums == {
        "http_requests_total": 2,
        ERRORS: 2,
        "answers_remembered_bytes": 1,
        "database_pool_size": 1,
        "database_pool_in_use": 1,
        "watchers": 1,
        "config_service_build_info": 1,
    }


def test_a_process_that_gets_the_id_of_an_ended_one_takes_nothing_from_its_counters(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting = family.process()
    monkeypatch.setattr(os, "getpid", lambda: 4_000_001)
    ended = family.process()
    ended.add(ERRORS, (), (0, 2))
    family.close(ended)
    later = family.process()
    later.add(ERRORS, (), (0, 3))
    assert lasting.sums() == {ERRORS: {(): [5]}}


class Killed:
    """A process of another family that counted and was killed: its folder has stayed."""

    def __init__(self, tmp: Path) -> None:
        script = """
            from edge.metrics import Registry
            registry = Registry()
            registry.add("watchers", (), (0, 1))
            print("counting", flush=True)
            input()
        """
        self._process = subprocess.Popen(  # noqa: S603 - a script of this test
            [sys.executable, "-c", textwrap.dedent(script)],
            cwd=Path(metrics.__file__).parents[1],
            env=os.environ | {"TMPDIR": str(tmp)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == b"counting\n"
        [self.folder] = tmp.iterdir()

    def age(self) -> None:
        """Makes the folder look as if it had been made a while ago."""
        then = time.time() - metrics.STARTING_SECONDS - 1
        os.utime(self.folder, (then, then))

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()


def test_a_start_sweeps_the_folder_of_a_process_that_was_killed_and_of_no_other(
    family: Family,
) -> None:
    other = Killed(family.tmp)
    other.age()
    registry = family.process()
    family.close(registry)
    assert list(family.tmp.iterdir()) == [other.folder]
    other.kill()
    registry = family.process()
    assert other.folder not in family.tmp.iterdir()
    family.close(registry)
    assert list(family.tmp.iterdir()) == []


def test_an_earlier_version_that_sweeps_finds_the_lock_that_it_looks_for(family: Family) -> None:
    family.process()
    [values] = family.tmp.glob(f"{metrics.FOLDERS}*/*.values")
    with values.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_folder_that_somebody_removes_fails_no_scrape(counting: Family) -> None:
    [folder] = counting.tmp.iterdir()
    shutil.rmtree(folder)
    metrics.add(ERRORS)
    assert samples(ERRORS) == []


def test_a_folder_that_was_just_made_is_not_swept(family: Family) -> None:
    starting = family.tmp / f"{metrics.FOLDERS}of-another-family"
    starting.mkdir()
    family.process()
    assert starting.exists()


def test_a_process_keeps_the_counters_of_its_family_where_all_others_were_killed(
    family: Family,
) -> None:
    killed = family.process()
    killed.add(ERRORS, (), (0, 2))
    killed._file.close()  # as the end of the process does
    [folder] = family.tmp.iterdir()
    os.utime(folder, (0, 0))
    assert family.process().sums() == {ERRORS: {(): [2]}}


def test_the_version_is_1_for_all_processes_together(family: Family) -> None:
    sibling = family.process()
    sibling.add("config_service_build_info", (("version", "1.2.3"),), (0, 1))
    with metrics.opened("1.2.3"):
        told = samples("config_service_build_info")
        assert told == ['config_service_build_info{version="1.2.3"} 1']


def test_the_version_is_told_again_by_the_process_that_follows_an_ended_one(family: Family) -> None:
    lasting, ended = family.process(), family.process()
    ended.add("config_service_build_info", (("version", "1.2.3"),), (0, 1))
    family.close(ended)
    assert "config_service_build_info" not in lasting.sums()
    with metrics.opened("1.2.3"):
        told = samples("config_service_build_info")
        assert told == ['config_service_build_info{version="1.2.3"} 1']


def test_the_numbers_have_their_place_on_the_disk_from_the_start(counting: Family) -> None:
    [file] = counting.tmp.glob("*/*.values")
    assert 512 * file.stat().st_blocks >= 8 * metrics.NUMBERS


def test_the_folder_is_the_owner_s_alone(counting: Family) -> None:
    [folder] = counting.tmp.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_folder_goes_with_the_last_of_the_family(family: Family) -> None:
    first, second = family.process(), family.process()
    first.add("watchers", (), (0, 1))
    second.add("watchers", (), (0, 1))
    family.close(first)
    [folder] = family.tmp.iterdir()
    assert len(list(folder.iterdir())) == 2
    family.close(second)
    assert list(family.tmp.iterdir()) == []


def test_nothing_is_counted_outside_of_the_block(family: Family) -> None:
    metrics.add("watchers")
    request("GET", "/a", 200, 0.5)
    with metrics.opened("1.2.3"):
        assert samples("watchers") == ["watchers 0"]
        assert samples("http_requests_total") == []
        metrics.add("watchers")
    metrics.add("watchers")
    request("GET", "/a", 200, 0.5)
    assert list(family.tmp.iterdir()) == []
    assert all(line.startswith("# ") for line in metrics.exposition().splitlines())
    assert "# TYPE watchers gauge" in metrics.exposition()


def test_a_failure_within_the_block_ends_the_counting_too(family: Family) -> None:
    with pytest.raises(ZeroDivisionError), metrics.opened("1.2.3"):
        raise ZeroDivisionError
    assert list(family.tmp.iterdir()) == []
    assert samples("watchers") == []


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_route("/metrics", metrics.get_metrics)
    return TestClient(app)


@pytest.mark.usefixtures("family")
def test_the_metrics_are_answered_in_the_text_format_of_prometheus(client: TestClient) -> None:
    with metrics.opened("1.2.3"):
        metrics.add("watchers", amount=3)
        answer = client.get("/metrics")
        assert answer.text == metrics.exposition()
    assert answer.status_code == 200
    assert answer.headers.get_list("Content-Type") == ["text/plain; version=0.0.4; charset=utf-8"]
    assert "\nwatchers 3\n" in answer.text


@pytest.mark.usefixtures("family")
def test_each_scrape_tells_the_numbers_of_its_moment(client: TestClient) -> None:
    with metrics.opened("1.2.3"):
        assert "\nwatchers 0\n" in client.get("/metrics").text
        metrics.add("watchers")
        assert "\nwatchers 1\n" in client.get("/metrics").text


def test_where_nothing_is_counted_the_metrics_are_there_without_samples(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert all(line.startswith("# ") for line in answer.text.splitlines())


def test_metrics_are_only_read(client: TestClient) -> None:
    assert client.post("/metrics").status_code == 405
