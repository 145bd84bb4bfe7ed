"""Decides which requests are served: those with a token that allows it, and a few open paths."""

import re
from contextvars import ContextVar

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from database import Caller
from edge.problems import problem
from edge.tokens import Token, hash_of

APPLICATIONS = "/api/v1/applications"

_UPGRADE = re.compile(rb"(?:\A|(?<=\n))upgrade(?=[ \t]*:)", re.IGNORECASE)
_data_received = HttpToolsProtocol.data_received
ANONYMOUS = Caller()

# Who makes the request that is being answered; the database is told.
caller = ContextVar("caller", default=ANONYMOUS)


def check(app: ASGIApp, tokens: list[Token], open_paths: set[str]) -> ASGIApp:
    """Answers 401 without a valid bearer token (RFC 6750), and 403 where its scope is too little.

    Without any token in the settings everything is open, and otherwise only `open_paths`. The path
    is compared as it was decoded, exactly; the Host header has no part in it.
    """
    # Looked up by their hashes: how long that takes tells nothing about the token itself.
    known = {token.hashed: token for token in tokens}

    async def checking(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not known or scope["path"] in open_paths:
            await app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, text = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        token = known.get(hash_of(text.strip())) if scheme.lower() == b"bearer" else None
        if token is None:
            detail = "This needs a valid bearer token."
            refusal = problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
        elif token.scope != "write" and scope["method"] != "GET":
            refusal = problem(403, "The token may only read.")
        elif token.application and (scope["method"], scope["path"]) == ("POST", APPLICATIONS):
            refusal = problem(403, "The token is confined to an application.")
        else:
            caller.set(Caller(token.name, token.application))
            await app(scope, receive, send)
            return
        await refusal(scope, receive, send)

    return checking


def ignore_upgrades() -> None:
    """Lets uvicorn answer a request with an `Upgrade` as what it is in HTTP/1.1 (RFC 9110 §7.8).

    It has no way for an app to ask for that. Its handshakes for WebSockets would pass by access,
    log and headers. And of a request that offers `h2c`, as Java's HttpClient and `curl --http2` do,
    httptools would not read the body. So this replaces private methods, which tests guard.
    """
    for protocol in (HttpToolsProtocol, H11Protocol):
        protocol._should_upgrade = lambda _: False  # type: ignore[method-assign]
    HttpToolsProtocol.data_received = _without_upgrade  # type: ignore[method-assign]


def _without_upgrade(self: HttpToolsProtocol, data: bytes) -> None:
    if self.cycle is None or self.cycle.response_complete:  # a head comes next
        head, end, body = data.partition(b"\r\n\r\n")
        data = _UPGRADE.sub(b"ignored", head) + end + body
    _data_received(self, data)
