"""Ends a request that waits when its client hangs up."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send


class Hangups:
    """Cancels a GET with a preference to wait (RFC 7240) once its client has gone.

    An ASGI server says so only in answer to `receive`, which a waiting handler does not call.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""
        may_wait = scope["type"] == "http" and scope["method"] == "GET"
        if not may_wait or not any(name == b"prefer" for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        answering = asyncio.current_task()
        assert answering is not None  # noqa: S101 - an ASGI server calls from a task
        gone = False

        async def listen() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            gone = True
            answering.cancel()

        listening = asyncio.create_task(listen())
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not gone:
                raise
            answering.uncancel()
        finally:
            listening.cancel()
