import asyncio

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.hangups import Hangups

WAITING = [(b"host", b"elsewhere"), (b"prefer", b"wait=30")]


def http(method: str, headers: list[tuple[bytes, bytes]]) -> Scope:
    return {"type": "http", "method": method, "path": "/", "headers": headers}


class Client:
    """Sends these messages and then nothing more, without hanging up."""

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)
        self.received: list[Message] = []

    async def receive(self) -> Message:
        if not self.messages:
            await asyncio.Event().wait()
        return {"type": self.messages.pop(0), "body": b""}

    async def send(self, message: Message) -> None:
        self.received.append(message)


def ask(app: ASGIApp, scope: Scope, client: Client) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await Hangups(app)(scope, client.receive, client.send)
            await asyncio.sleep(0)
            [task] = asyncio.all_tasks()
            assert task.cancelling() == 0

    asyncio.run(bounded())


def test_a_client_that_hangs_up_ends_the_handler_that_waits() -> None:
    ended = []

    async def app(_: Scope, __: Receive, ___: Send) -> None:
        try:
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(True)
            raise

    client = Client("http.request", "http.disconnect")
    ask(app, http("GET", WAITING), client)
    assert (ended, client.received) == ([True], [])


def test_a_client_that_stays_has_its_answer_and_is_listened_to_no_longer() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    client = Client("http.request")
    ask(app, http("GET", WAITING), client)
    assert [message["status"] for message in client.received] == [200]


@pytest.mark.parametrize(
    "scope",
    [
        http("PUT", WAITING),
        http("POST", WAITING),
        http("GET", WAITING[:1]),
        {"type": "lifespan"},
        {"type": "websocket", "headers": WAITING},
    ],
)
def test_the_messages_of_any_other_request_are_left_to_its_handler(scope: Scope) -> None:
    reached = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        reached.append(scope)
        await send(await receive())
        await send(await receive())

    client = Client("http.request", "http.disconnect")
    ask(app, scope, client)
    assert reached == [scope]
    assert [message["type"] for message in client.received] == ["http.request", "http.disconnect"]


def test_a_failure_of_the_handler_is_passed_on() -> None:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        ask(app, http("GET", WAITING), Client())


def test_a_request_that_is_cancelled_by_another_stays_cancelled() -> None:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        client = Client()
        hangups = Hangups(app)(http("GET", WAITING), client.receive, client.send)
        request = asyncio.ensure_future(hangups)
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(scenario())
