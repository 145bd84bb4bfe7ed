"""Lets uvicorn answer a request with an `Upgrade` as what it is in HTTP/1.1 (RFC 9110 §7.8)."""

import re

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_UPGRADE = re.compile(rb"^upgrade(?=[ \t]*:)", re.IGNORECASE | re.MULTILINE)
_data_received = HttpToolsProtocol.data_received


def ignore() -> None:
    """Replaces private methods of uvicorn, which tests guard: it has no way for an app to ask.

    Its handshakes for WebSockets would pass by access, log and headers. And of a request that
    offers `h2c`, as Java's HttpClient and `curl --http2` do, httptools would not read the body.
    """
    for protocol in (HttpToolsProtocol, H11Protocol):
        protocol._should_upgrade = lambda _: False  # type: ignore[method-assign]
    HttpToolsProtocol.data_received = _without_upgrade  # type: ignore[method-assign]


def _without_upgrade(self: HttpToolsProtocol, data: bytes) -> None:
    if self.cycle is None or self.cycle.response_complete:  # a head comes next
        head, end, body = data.partition(b"\r\n\r\n")
        if b"upgrade" in head.lower():  # the expression takes ten times as long
            data = _UPGRADE.sub(b"ignored", head) + end + body
    _data_received(self, data)
