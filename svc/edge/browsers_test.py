import asyncio

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.browsers import Browsers

STRICT = "default-src 'none'; frame-ancestors 'none'; sandbox"
PAGE = "default-src 'none'; script-src 'self'"
REUSED = Response("the same object for every request")

app = FastAPI()
app.add_middleware(Browsers)


@app.get("/document")
async def get_document() -> dict[str, str]:
    return {}


@app.get("/page")
async def get_page() -> Response:
    return Response("<p>", headers={"content-security-policy": PAGE}, media_type="text/html")


@app.get("/reused")
async def get_reused() -> Response:
    return REUSED


@pytest.fixture
def client() -> TestClient:
    return TestClient(app)


@pytest.mark.parametrize(("path", "status"), [("/document", 200), ("/nowhere", 404)])
def test_a_browser_must_not_guess_the_type_of_an_answer_nor_run_anything_in_it(
    client: TestClient, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers.get_list("Content-Security-Policy") == [STRICT]


def test_a_page_has_the_policy_that_it_brings(client: TestClient) -> None:
    answer = client.get("/page")
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers.get_list("Content-Security-Policy") == [PAGE]


def test_a_response_that_is_used_again_does_not_collect_headers(client: TestClient) -> None:
    assert client.get("/reused").headers == client.get("/reused").headers
    assert [name for name, _ in REUSED.raw_headers] == [b"content-length"]


def upgrade(app: ASGIApp, *received: str) -> list[Message]:
    """What `app` sends through `Browsers` to a client that asks for a WebSocket."""
    waiting, sent = list(received), list[Message]()

    async def receive() -> Message:
        return {"type": waiting.pop(0)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/document", "query_string": b"", "headers": []}
    asyncio.run(Browsers(app)(scope, receive, send))
    return sent


def test_the_request_for_a_websocket_is_answered_as_the_get_that_it_is() -> None:
    start, body = upgrade(app, "websocket.connect")
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 200)
    assert (b"x-content-type-options", b"nosniff") in start["headers"]
    assert (body["type"], body["body"]) == ("websocket.http.response.body", b"{}")


def test_a_client_that_asks_for_a_websocket_and_goes_is_a_client_that_hung_up() -> None:
    told = []

    async def watch(scope: Scope, receive: Receive, _: Send) -> None:
        assert await Request(scope, receive).body() == b""
        told.append(await receive())

    assert upgrade(watch, "websocket.connect", "websocket.disconnect") == []
    assert told == [{"type": "http.disconnect"}]


def test_the_start_of_the_server_passes_untouched() -> None:
    async def start(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope == {"type": "lifespan"}
        await send(await receive())

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Browsers(start)({"type": "lifespan"}, receive, send))
    assert sent == [{"type": "lifespan.startup"}]
