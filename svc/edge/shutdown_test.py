import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import pytest
from starlette.types import Message, Receive, Scope, Send

from edge.shutdown import Shutdown

SIGNALS = (signal.SIGTERM, signal.SIGINT)
START = {"type": "http.response.start", "status": 200, "headers": []}


async def receive() -> Message:
    raise AssertionError("nothing asks for a message")


async def ignore(_: Message) -> None:
    raise AssertionError("nothing is sent")


class Service:
    """An app behind `Shutdown`: a path says what it does, and its lifespan lasts until `end`."""

    def __init__(self, seconds: float) -> None:
        self.started, self.told, self.end = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.shutdown = Shutdown(self._app, seconds, self.told.set)

    async def _app(self, scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.started.set()
            await self.end.wait()
            return
        if scope["path"] == "/begins":
            await send(START)
        if scope["path"] == "/waits":
            await self.told.wait()
            for _turn in range(10):
                await asyncio.sleep(0)
        elif scope["path"] != "/answers":
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        await send(START)

    async def ask(self, path: str) -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await self.shutdown({"type": "http", "method": "GET", "path": path}, receive, send)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return sent


def during(scenario: Callable[[Service], Awaitable[None]], seconds: float) -> None:
    """Runs a scenario during the lifespan of a service."""

    async def bounded() -> None:
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            service = Service(seconds)
            tasks.create_task(service.shutdown({"type": "lifespan"}, receive, ignore))
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
        assert await service.ask("/answers") == [START]
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


def test_what_ends_in_time_is_answered_as_ever() -> None:
    async def scenario(service: Service) -> None:
        request = asyncio.create_task(service.ask("/waits"))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await request == [START]

    during(scenario, seconds=60)


def test_a_request_that_was_answered_before_is_not_cut() -> None:
    async def scenario(service: Service) -> None:
        hanging = asyncio.create_task(service.ask("/hangs"))
        assert await service.ask("/answers") == [START]
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait([hanging])
        assert await service.ask("/answers") == [START]

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
