"""A request leaves nothing to the garbage collector, which would stop the event loop for long."""

import asyncio
import gc
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from psycopg2.extensions import connection
from pydantic import SecretStr
from starlette.types import Message

import main
from config import Settings
from edge import logs

MANY = 50
CONFIG = "/api/v1/config?application=billing&name=production"

type Ask = Callable[[], Coroutine[Any, Any, tuple[int, Any]]]


@pytest.fixture
def drained() -> Iterator[None]:
    """The lines of the log are written before the test ends."""
    yield
    logs.writer().drain(10)


async def ask(
    app: Any, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    """The status and the body of an answer of `app`, asked without a client in between."""
    sent = list[Message]()
    given = {"content-type": "application/json", **headers}

    text = b"" if body is None else json.dumps(body).encode()
    received = iter([{"type": "http.request", "body": text}])

    async def receive() -> Message:
        for message in received:
            return message
        return await asyncio.Future()  # the client stays

    async def send(message: Message) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in given.items()
        ],
    }
    await app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.usefixtures("drained")
def test_requests_leave_no_garbage(dsn: str, db: connection) -> None:
    app = main.create_app(Settings(database_url=SecretStr(dsn), log_level="WARNING"))
    left = dict[str, float]()

    async def measure() -> None:
        _, made = await ask(app, "POST", "/api/v1/applications", {"name": "billing"})
        owner = json.loads(made)["id"]
        document = {"name": "production", "config": {"a": {"b": 1.10}}}
        _, made = await ask(
            app, "POST", "/api/v1/configurations", {**document, "application_id": owner}
        )
        path = f"/api/v1/configurations/{json.loads(made)['id']}"
        known = {"if_none_match": '"1"', "prefer": "wait=1"}
        asked: list[tuple[str, int, Ask]] = [
            ("read", 200, lambda: ask(app, "GET", path)),
            ("read what is known", 304, lambda: ask(app, "GET", path, if_none_match='"1"')),
            ("read layers", 200, lambda: ask(app, "GET", CONFIG)),
            ("list", 200, lambda: ask(app, "GET", "/api/v1/configurations")),
            ("miss", 404, lambda: ask(app, "GET", "/api/v1/nothing")),
            ("write nothing new", 200, lambda: ask(app, "PUT", path, document)),
            ("fail a precondition", 412, lambda: ask(app, "PUT", path, document, if_match='"9"')),
            ("wait in vain", 304, lambda: ask(app, "GET", path, **known)),
        ]
        for name, expected, once in asked:
            await once()
            gc.collect()
            gc.disable()
            answers = await asyncio.gather(*(once() for _ in range(MANY)))
            assert {status for status, _ in answers} == {expected}
            left[name] = gc.collect() / MANY
            gc.enable()

    async def run() -> None:
        async with app.router.lifespan_context(app):
            await measure()

    thresholds = gc.get_threshold()
    try:
        asyncio.run(run())
    finally:
        gc.enable()
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    assert {name: round(each) for name, each in left.items()} == dict.fromkeys(left, 0)
