"""Ends a request that waits when its client hangs up."""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send


class Hangups:
    """Cancels a GET with a preference to wait (RFC 7240) once its client has gone.

    A server only tells whoever asks: a handler that waits for a change would not notice.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""
        may_wait = scope["type"] == "http" and scope["method"] == "GET"
        if not may_wait or not any(name == b"prefer" for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        answering = asyncio.ensure_future(self._app(scope, receive, send))
        listening = asyncio.ensure_future(_hang_up(receive))
        try:
            await asyncio.wait([answering, listening], return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            if not answering.done():
                answering.cancel()
        with suppress(asyncio.CancelledError):
            await answering


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
