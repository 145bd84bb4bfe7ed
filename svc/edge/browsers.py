"""What a browser may do with an answer: show what it says, and nothing else."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_POLICY = b"content-security-policy"
_NOTHING_RUNS = (_POLICY, b"default-src 'none'; frame-ancestors 'none'; sandbox")


class Browsers:
    """Tells browsers with every answer not to guess its type and not to run anything in it.

    An answer that is a page has a Content-Security-Policy of its own. A WebSocket is never opened:
    the upgrade is ignored (RFC 9110 §7.8), and its request is answered as the GET that it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""
        if scope["type"] == "websocket":
            scope, receive, send = _as_get(scope, receive, send)

        async def guarding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = [*message["headers"], _NO_SNIFFING]
                if _POLICY not in (name for name, _ in headers):
                    headers.append(_NOTHING_RUNS)
            await send(message)

        await self._app(scope, receive, guarding)


def _as_get(scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
    """The GET that asks for a WebSocket; its answer is sent by ASGI's extension for a refusal."""

    async def request() -> Message:
        message = await receive()
        connects = message["type"] == "websocket.connect"
        return {"type": "http.request" if connects else "http.disconnect"}

    async def answer(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return {**scope, "type": "http", "method": "GET"}, request, answer
