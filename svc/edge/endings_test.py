import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.endings import Endings
from edge.requests import accompany

SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def receive() -> Message:
    raise AssertionError("nothing asks for a message")


async def ignore(_: Message) -> None:
    raise AssertionError("nothing is sent")


class Service:
    """An app behind `Endings`: a path says what it does, and its lifespan lasts until `end`."""

    def __init__(self, seconds: float) -> None:
        self.started, self.told, self.end = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.app = accompany(Endings(self._app, seconds, self.told.set), "ERROR", "json")

    async def _app(self, scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.started.set()
            await self.end.wait()
            return
        if scope["path"] == "/begins":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/waits":
            await self.told.wait()
            for _turn in range(10):
                await asyncio.sleep(0)
        elif scope["path"] != "/answers":
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(self, path: str, method: str = "GET") -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": []}
        await self.app(scope, receive, send)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return sent


def statuses(messages: list[Message]) -> list[int]:
    """The status of each answer that was begun."""
    return [message["status"] for message in messages if "status" in message]


def during(scenario: Callable[[Service], Awaitable[None]], seconds: float) -> None:
    """Runs a scenario during the lifespan of a service."""

    async def bounded() -> None:
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            service = Service(seconds)
            tasks.create_task(
                asyncio.wait_for(service.app({"type": "lifespan"}, receive, ignore), 10)
            )
            await service.started.wait()
            await scenario(service)
            service.end.set()

    asyncio.run(bounded())


@pytest.fixture(autouse=True)
def handled() -> Iterator[list[int]]:
    """The signals that the server's own handler has seen; it must be the handler at the end."""
    handled: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        handled.append(number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    yield handled
    left = [signal.signal(number, handler) for number, handler in before.items()]
    assert left == [handle, handle]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_signal_ends_waiting_at_once_and_reaches_the_server_too(
    handled: list[int], number: signal.Signals
) -> None:
    async def scenario(service: Service) -> None:
        os.kill(os.getpid(), number)
        await service.told.wait()
        assert handled == [number]

    during(scenario, seconds=60)


def test_without_a_signal_nothing_ends() -> None:
    async def scenario(service: Service) -> None:
        assert statuses(await service.ask("/answers")) == [200]
        assert not service.told.is_set()

    during(scenario, seconds=0)


def test_what_is_in_flight_when_the_time_is_over_is_told_to_come_back() -> None:
    async def scenario(service: Service) -> None:
        request = asyncio.create_task(service.ask("/hangs"))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        start, body = await request
        assert start["status"] == 503
        headers = dict(start["headers"])
        assert headers[b"retry-after"] == b"1"
        assert headers[b"content-type"] == b"application/problem+json"
        assert b"stopping" in body["body"]

    during(scenario, seconds=0)


@pytest.mark.parametrize(("method", "is_unknown"), [("GET", False), ("PUT", True)])
def test_who_asked_for_a_change_is_told_that_its_outcome_is_unknown(
    method: str, is_unknown: bool
) -> None:
    async def scenario(service: Service) -> None:
        request = asyncio.create_task(service.ask("/hangs", method))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        _, body = await request
        assert (b"unknown" in body["body"]) is is_unknown

    during(scenario, seconds=0)


def test_what_ends_in_time_is_answered_as_ever() -> None:
    async def scenario(service: Service) -> None:
        request = asyncio.create_task(service.ask("/waits"))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert statuses(await request) == [200]

    during(scenario, seconds=60)


def test_a_request_that_was_answered_before_is_not_cut() -> None:
    async def scenario(service: Service) -> None:
        hanging = asyncio.create_task(service.ask("/hangs"))
        assert statuses(await service.ask("/answers")) == [200]
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait([hanging])
        assert statuses(await service.ask("/answers")) == [200]

    during(scenario, seconds=0)


def test_an_answer_that_has_begun_is_cut_and_not_begun_again() -> None:
    async def scenario(service: Service) -> None:
        request = asyncio.create_task(service.ask("/begins"))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(asyncio.CancelledError):
            await request

    during(scenario, seconds=0)


def test_a_request_that_is_cancelled_by_another_stays_cancelled() -> None:
    async def scenario(service: Service) -> None:
        request = asyncio.create_task(service.ask("/hangs"))
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    during(scenario, seconds=60)


def test_outside_of_the_main_thread_the_signals_are_left_to_others() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def scenario(_: Service) -> None:
        assert signal.getsignal(signal.SIGTERM) is before

    with ThreadPoolExecutor(1) as pool:
        pool.submit(during, scenario, 60).result()


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


def listened(app: ASGIApp, scope: Scope, client: Client) -> None:
    async def asking() -> None:
        async with asyncio.timeout(10):
            endings = Endings(app, 10, pytest.fail)
            await endings(scope, client.receive, client.send)
            await asyncio.sleep(0)
            [task] = asyncio.all_tasks()
            assert task.cancelling() == 0

    asyncio.run(asking())


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
    listened(app, http("GET", WAITING), client)
    assert (ended, client.received) == ([True], [])


def test_what_goes_on_behind_a_complete_answer_is_not_ended() -> None:
    ended = list[bool]()

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        scope["status"] = 200  # as `accompany` does
        client.messages.append("http.disconnect")  # as uvicorn does
        for _turn in range(10):
            await asyncio.sleep(0)
        ended.append(True)

    client = Client()
    listened(app, http("GET", WAITING), client)
    assert ended == [True]


def test_a_client_that_stays_has_its_answer_and_is_listened_to_no_longer() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    client = Client("http.request")
    listened(app, http("GET", WAITING), client)
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
    listened(app, scope, client)
    assert reached == [scope]
    assert [message["type"] for message in client.received] == ["http.request", "http.disconnect"]


def test_a_failure_of_the_handler_is_passed_on() -> None:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        listened(app, http("GET", WAITING), Client())


def test_a_request_that_waits_and_is_cancelled_by_another_stays_cancelled() -> None:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        client = Client()
        hangups = Endings(app, 10, pytest.fail)(http("GET", WAITING), client.receive, client.send)
        request = asyncio.create_task(hangups)
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(scenario())
