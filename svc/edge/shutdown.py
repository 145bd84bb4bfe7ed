"""Ends the service in time, with an answer to every request that is in flight."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.problems import problem


class Shutdown:
    """Gives requests in flight `seconds` to end after SIGTERM or SIGINT, then answers them 503.

    `at_once` is called when the signal comes: it ends the requests that only wait.

    Otherwise a client that is slow to send its body would keep the server from ending: uvicorn ends
    the lifespan, and closes what that has opened, only after all requests are answered.
    """

    def __init__(self, app: ASGIApp, seconds: float, at_once: Callable[[], None]) -> None:
        self._app, self._seconds, self._at_once = app, seconds, at_once
        self._in_flight = set[asyncio.Task[None]]()
        self._over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on; for the lifespan, listens for the signals as long as it lasts."""
        if scope["type"] == "lifespan":
            with self._signals():
                await self._app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - an ASGI server calls from a task
        self._in_flight.add(task)
        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if started or not self._over:
                raise
            task.uncancel()
            answer = problem(503, "The service is stopping.", headers={"Retry-After": "1"})
            await answer(scope, receive, send)
        finally:
            self._in_flight.discard(task)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Handles the signals for the time of the block, and passes them on to the server."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may handle signals: here something else ends the server
            return
        loop = asyncio.get_running_loop()
        previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._at_once)
            loop.call_soon_threadsafe(loop.call_later, self._seconds, self._cut)
            handler = previous[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)

        for number in previous:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _cut(self) -> None:
        self._over = True
        for task in self._in_flight:
            task.cancel()
