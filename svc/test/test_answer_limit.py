"""MAX_BODY_BYTES holds for the answer too: what GET returned fits a PUT, to the byte."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from psycopg2.extensions import connection

from conftest import Server

LIMIT = 4096
CONFIGURATIONS = "/api/v1/configurations"
JSON = {"Content-Type": "application/json"}
NAMES = ["plain", 'quoted "and" \\escaped\\', "ä€😀", "a" * 256]


@pytest.fixture(scope="module")
def limited(dsn: str) -> Iterator[httpx.Client]:
    """A client of a service whose limit is small."""
    running = Server(DATABASE_URL=dsn, MAX_BODY_BYTES=str(LIMIT)).start()
    yield running.client
    running.stop()


@pytest.fixture
def owner(limited: httpx.Client, db: connection) -> str:
    """The id of an application without configurations."""
    created = limited.post("/api/v1/applications", json={"name": "billing"})
    return str(created.json()["id"])


def create(client: httpx.Client, owner: str, name: str, **more: Any) -> httpx.Response:
    return client.post(CONFIGURATIONS, json={"application_id": owner, "name": name, **more})


def filling(answer: httpx.Response, size: int) -> dict[str, str]:
    """The `config` with which the answer, whose `config` is {"a": ""}, would have so many bytes."""
    return {"a": "x" * (size - len(answer.content))}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("comments", [None, '\t"é"\n'])
def test_the_largest_answer_can_be_sent_back_and_none_is_larger(
    limited: httpx.Client, owner: str, name: str, comments: str | None
) -> None:
    small = create(limited, owner, name, comments=comments, config={"a": ""})
    path = small.headers["location"]
    assert limited.delete(path).status_code == 204
    too_large = create(limited, owner, name, comments=comments, config=filling(small, LIMIT + 1))
    assert too_large.status_code == 413
    created = create(limited, owner, name, comments=comments, config=filling(small, LIMIT))
    path = created.headers["location"]
    answer = limited.get(path)
    assert len(answer.content) == LIMIT
    again = limited.put(path, content=answer.content, headers=JSON)
    assert (again.status_code, again.content) == (200, answer.content)
    assert again.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("change", [{"name": "longer"}, {"comments": "éé"}, {"config": {"b": 1}}])
def test_a_put_or_patch_that_makes_the_answer_too_large_changes_nothing(
    limited: httpx.Client, owner: str, change: dict[str, Any]
) -> None:
    small = create(limited, owner, "name", config={"a": ""})
    path = small.headers["location"]
    whole = {"name": "name", "config": filling(small, LIMIT)}
    answer = limited.put(path, json=whole)
    assert len(answer.content) == LIMIT
    larger = {**whole, **change, "config": whole["config"] | change.get("config", {})}
    assert limited.put(path, json=larger).status_code == 413
    merge = {"Content-Type": "application/merge-patch+json"}
    assert limited.patch(path, json=change, headers=merge).status_code == 413
    assert limited.get(path).content == answer.content


def test_a_rollback_to_what_was_kept_under_a_larger_limit_is_refused(
    limited: httpx.Client, api: httpx.Client, owner: str
) -> None:
    path = create(api, owner, "name", comments="c" * 1000).headers["location"]
    whole = {"name": "name", "comments": "c" * 1000, "config": {"a": "x" * (LIMIT - 1000)}}
    assert api.put(path, json=whole).status_code == 200
    assert api.put(path, json={"name": "name", "config": {}}).status_code == 200
    assert limited.post(f"{path}/rollback", json={"revision": 2}).status_code == 413
    assert limited.get(path).headers["etag"] == '"3"'
    assert limited.post(f"{path}/rollback", json={"revision": 1}).status_code == 200
