"""Lets every path answer as it was declared: behind a prefix, with a trailing slash, to HEAD."""

from starlette.types import ASGIApp, Receive, Scope, Send


def resolve(app: ASGIApp) -> ASGIApp:
    """Makes `scope["path"]` the path of a route, and `scope["root_path"]` the prefix before it.

    The prefix is the one that a proxy takes off (uvicorn's `--root-path`). One trailing slash goes
    too, without a redirect (whose Location would be built from the Host header). HEAD is answered
    like GET (RFC 9110 §9.3.2), and without waiting; the server leaves the body out.
    """

    async def resolving(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            if root_path := scope.get("root_path"):
                prefix = f"/{root_path.strip('/')}".rstrip("/")
                # The server has put it in front of the path that it received (ASGI).
                path = _behind(root_path, path)
                # A proxy that does not take it off sent it as well. Where a path of our own begins
                # with it, that cannot be told apart, and the proxy has to take it off.
                if all(_behind(prefix, route.path) == route.path for route in scope["app"].routes):
                    path = _behind(prefix, path)
                scope = {**scope, "path": path, "root_path": prefix}
            if len(path) > 1 and path.endswith("/"):
                scope = {**scope, "path": path[:-1]}
            if scope["method"] == "HEAD":
                headers = [pair for pair in scope["headers"] if pair[0] != b"prefer"]
                scope = {**scope, "method": "GET", "asked_as": "HEAD", "headers": headers}
        await app(scope, receive, send)

    return resolving


def _behind(prefix: str, path: str) -> str:
    """What of `path` follows `prefix`; all of it where it does not begin with these segments."""
    rest = path.removeprefix(prefix)
    return rest if rest.startswith("/") else path if rest else "/"
