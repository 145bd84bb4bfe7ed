"""Ends requests before their time: when the service stops, and when their client hangs up."""

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import FrameType
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from edge.problems import problem


class Endings:
    """Gives requests in flight `seconds` to end after SIGTERM or SIGINT, then answers them 503, and
    cancels a GET with a preference to wait (RFC 7240) once its client has gone.

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
            with ExitStack() as handlers:
                if threading.current_thread() is threading.main_thread():
                    # No other may handle signals: there something else ends the server.
                    self._handle_signals(handlers)
                await self._app(scope, receive, send)
            return
        task, listening = asyncio.current_task(), None
        assert task is not None  # noqa: S101 - an ASGI server calls from a task
        self._in_flight.add(task)
        if scope.get("method") == "GET" and b"prefer" in dict(scope["headers"]):
            listening = asyncio.create_task(_cancel_when_gone(task, scope, receive))
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            gone = listening is not None and listening.done()
            if not gone and ("status" in scope or not self._over):
                raise
            task.uncancel()
            if not gone:
                detail = "The service is stopping."
                if scope["method"] != "GET":  # the database may be at it, and goes on
                    detail += " Whether a change was made is unknown."
                answer = problem(503, detail, headers={"Retry-After": "1"})
                await answer(scope, receive, send)
        finally:
            self._in_flight.discard(task)
            if listening is not None:
                listening.cancel()

    def _handle_signals(self, handlers: ExitStack) -> None:
        loop = asyncio.get_running_loop()

        def handle(next: Any, number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._stop)
            if callable(next):
                next(number, frame)

        for number in (signal.SIGTERM, signal.SIGINT):
            servers = signal.getsignal(number)
            handlers.callback(signal.signal, number, servers)
            signal.signal(number, partial(handle, servers))

    def _stop(self) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._cut)
        self._at_once()

    def _cut(self) -> None:
        self._over = True
        for task in self._in_flight:
            task.cancel()


async def _cancel_when_gone(task: asyncio.Task[None], scope: Scope, receive: Receive) -> None:
    # An ASGI server says so only in answer to `receive`, which a waiting handler does not call.
    while (await receive())["type"] != "http.disconnect":
        pass
    # It says the same once the answer is complete, while background tasks may be under way.
    if "status" not in scope:
        task.cancel()
