"""Where things are: the targets of `Location` and `Link`, relative to the host (RFC 3986 §4.2)."""

from typing import Any
from urllib.parse import urlencode

from fastapi import Request


def location(request: Request, path: str) -> str:
    """The `Location` of what `path` names, behind the prefix that a proxy takes off, if any."""
    prefix: str = request.scope.get("root_path", "")
    return prefix + path


def next_link(request: Request, path: str, /, **query: Any) -> str:
    """The `Link` header to the next page (RFC 8288), relative; leaves out what is None."""
    given = {name: value for name, value in query.items() if value is not None}
    return f'<{location(request, path)}?{urlencode(given)}>; rel="next"'


def at_sequence(request: Request, path: str, sequence: int) -> str:
    """The `Content-Location` of what `path` was at a time: the same request with the sequence in
    its place."""
    query = request.query_params.multi_items()
    given = [(name, sequence if name == "at" else value) for name, value in query]
    return f"{location(request, path)}?{urlencode(given)}"
