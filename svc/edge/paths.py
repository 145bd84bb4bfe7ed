"""Lets every path answer with and without a trailing slash, and HEAD wherever GET does."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Paths:
    """Strips one trailing slash without a redirect (whose Location would be built from the Host
    header), and answers HEAD like GET without the body (RFC 9110 §9.3.2), and without waiting."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""
        if scope["type"] == "http":
            path = scope["path"]
            if len(path) > 1 and path.endswith("/"):
                scope = {**scope, "path": path[:-1]}
            if scope["method"] == "HEAD":
                headers = [pair for pair in scope["headers"] if pair[0] != b"prefer"]
                scope = {**scope, "method": "GET", "asked_as": "HEAD", "headers": headers}
                send = _bodiless(send)
        await self._app(scope, receive, send)


def _bodiless(send: Send) -> Send:
    async def without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return without_body
