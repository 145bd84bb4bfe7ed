import tempfile
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from edge import metrics, scrape


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_route("/metrics", scrape.get_metrics)
    return TestClient(app)


def test_the_metrics_are_answered_in_the_text_format_of_prometheus(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    with metrics.opened("1.2.3"):
        metrics.add("watchers", amount=3)
        answer = client.get("/metrics")
        assert answer.text == metrics.exposition()
    assert answer.status_code == 200
    assert answer.headers.get_list("Content-Type") == ["text/plain; version=0.0.4; charset=utf-8"]
    assert "\nwatchers 3\n" in answer.text


def test_each_scrape_tells_the_numbers_of_its_moment(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
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
