"""Behind a proxy that serves the API under a prefix, and takes that off or leaves it on."""

import hashlib
from collections.abc import Iterator

import httpx
import pytest
from psycopg2.extensions import connection

from conftest import Server

PREFIX = "/config"
APPLICATIONS = "/api/v1/applications"
TOKEN = {"Authorization": "Bearer a token"}


@pytest.fixture(scope="module")
def behind(dsn: str) -> Iterator[httpx.Client]:
    """A client of the service under the prefix, which is closed to those without a token."""
    hashed = hashlib.sha256(b"a token").hexdigest()
    tokens = f"ci:write:{hashed}"
    # The environment variable is uvicorn's `--root-path`.
    server = Server(DATABASE_URL=dsn, UVICORN_ROOT_PATH=PREFIX, API_TOKENS=tokens).start()
    yield server.client
    server.stop()


@pytest.fixture(params=["", PREFIX], ids=["taken off", "left on"])
def sent(request: pytest.FixtureRequest) -> str:
    """What of the prefix the proxy sends."""
    given: str = request.param
    return given


def test_what_is_made_is_found_where_location_and_link_say(
    behind: httpx.Client, db: connection, sent: str
) -> None:
    for name in ("a", "b"):
        made = behind.post(sent + APPLICATIONS, json={"name": name}, headers=TOKEN)
        assert made.status_code == 201
        location = made.headers["location"]
        assert location == f"{PREFIX}{APPLICATIONS}/{made.json()['id']}"
        for slash in ("", "/"):
            path = sent + location.removeprefix(PREFIX) + slash
            assert behind.get(path, headers=TOKEN).json()["name"] == name
            assert behind.head(path, headers=TOKEN).status_code == 200
    page = behind.get(f"{sent}{APPLICATIONS}?limit=1", headers=TOKEN)
    target = page.links["next"]["url"]
    assert target.startswith(f"{PREFIX}{APPLICATIONS}?limit=1&after=")
    following = behind.get(sent + target.removeprefix(PREFIX), headers=TOKEN)
    assert [one["name"] for one in page.json() + following.json()] == ["a", "b"]


def test_the_paths_that_need_no_token_are_the_same(behind: httpx.Client, sent: str) -> None:
    for path in ("/health", "/health/ready", "/docs", "/openapi.json", "/metrics"):
        assert behind.get(sent + path).status_code not in {401, 404}
    for path in (APPLICATIONS, "/", "/nothing", f"{APPLICATIONS}/health"):
        assert behind.get(sent + path).status_code == 401


def test_an_unknown_path_and_method_are_told_as_ever(behind: httpx.Client, sent: str) -> None:
    assert behind.get(f"{sent}/nothing", headers=TOKEN).status_code == 404
    refusal = behind.patch(sent + APPLICATIONS, headers=TOKEN)
    assert (refusal.status_code, refusal.headers["allow"]) == (405, "GET, HEAD, POST")


def test_the_pages_name_what_they_load_with_the_prefix(behind: httpx.Client, sent: str) -> None:
    assert f"{PREFIX}/openapi.json" in behind.get(f"{sent}/docs").text
    assert behind.get(f"{sent}/openapi.json").json()["servers"] == [{"url": PREFIX}]
