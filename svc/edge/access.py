"""Decides who may, before anything of the body is read. Default deny."""

from contextvars import ContextVar
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from database import Caller
from edge.problems import problem
from edge.tokens import Token, hash_of

APPLICATIONS = "/api/v1/applications"

# Who makes the request that is being answered.
caller = ContextVar("caller", default=Caller())  # noqa: B039 - a tuple does not change


@dataclass(frozen=True)
class Policy:
    """The tokens that are known, and the paths that need none. Without a token, all is open."""

    tokens: list[Token]
    open_paths: frozenset[str]


class Access:
    """Answers 401 without a valid bearer token (RFC 6750), 403 with one that may not.

    It looks at the path as it was decoded, and compares it exactly: the Host header has no part.
    """

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self._app, self._open_paths = app, policy.open_paths
        # Found by the hash: what a comparison's time tells of that helps nobody to its origin.
        self._tokens = {token.hashed: token for token in policy.tokens}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on, or refuses it."""
        if scope["type"] != "http" or not self._tokens or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        token = self._token(given)
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

    def _token(self, given: list[bytes]) -> Token | None:
        scheme, _, text = given[0].partition(b" ") if len(given) == 1 else [b""] * 3
        return self._tokens.get(hash_of(text.strip())) if scheme.lower() == b"bearer" else None
