"""What a browser may do with an answer: show what it says, and nothing else."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_POLICY = b"content-security-policy"
_NOTHING_RUNS = (_POLICY, b"default-src 'none'; frame-ancestors 'none'; sandbox")


class Browsers:
    """Tells browsers with every answer not to guess its type and not to run anything in it.

    An answer that is a page has a Content-Security-Policy of its own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""

        async def guarding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = [*message["headers"], _NO_SNIFFING]
                if _POLICY not in (name for name, _ in headers):
                    headers.append(_NOTHING_RUNS)
            await send(message)

        await self._app(scope, receive, guarding)


def open_no_websockets() -> None:
    """Lets uvicorn ignore every request for a WebSocket (RFC 9110 §7.8) and answer it as what it is
    in HTTP, as its option `--ws none` does.

    It has no way for an app to ask for that, and its own handshakes would pass by access, log and
    headers: so this sets a private method, which a test guards.
    """
    for protocol in (HttpToolsProtocol, H11Protocol):
        protocol._should_upgrade = lambda _: False  # type: ignore[method-assign]
