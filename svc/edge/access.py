"""Decides which requests are served: those with a token that allows it, and a few open paths."""

from contextvars import ContextVar

from starlette.types import ASGIApp, Receive, Scope, Send

from database import Caller
from edge.problems import problem
from edge.tokens import Token, hash_of

APPLICATIONS = "/api/v1/applications"

# Who makes the request that is being answered; the database is told.
caller = ContextVar("caller", default=Caller())  # noqa: B039 - a tuple cannot be changed


class Access:
    """Answers 401 without a valid bearer token (RFC 6750), and 403 where its scope is too little.

    Without any token in the settings everything is open, and otherwise only `open_paths`. The path
    is compared as it was decoded, exactly; the Host header has no part in it.
    """

    def __init__(self, app: ASGIApp, tokens: list[Token], open_paths: set[str]) -> None:
        self._app, self._open_paths = app, open_paths
        # Looked up by their hashes: how long that takes tells nothing about the token itself.
        self._tokens = {token.hashed: token for token in tokens}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on, or refuses it before anything of its body is read."""
        if scope["type"] != "http" or not self._tokens or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        token = self._token(given[0]) if len(given) == 1 else None
        if token is None:
            detail = "This needs a valid bearer token."
            refusal = problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
        elif token.scope != "write" and scope["method"] != "GET":
            refusal = problem(403, "The token may only read.")
        elif token.application and (scope["method"], scope["path"]) == ("POST", APPLICATIONS):
            refusal = problem(403, "The token is confined to an application.")
        else:
            caller.set(Caller(token.name, token.application))
            await self._app(scope, receive, send)
            return
        await refusal(scope, receive, send)

    def _token(self, authorization: bytes) -> Token | None:
        scheme, _, text = authorization.partition(b" ")
        return self._tokens.get(hash_of(text.strip())) if scheme.lower() == b"bearer" else None
