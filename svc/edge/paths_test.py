import asyncio
import socket

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from conftest import Server
from edge.paths import resolve


def ask(scope: Scope) -> tuple[Scope, list[Message]]:
    """The scope that reaches the app behind `resolve`, and the messages that come back."""
    seen: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
        await send({"type": "http.response.body", "body": b"some", "more_body": True})
        await send({"type": "http.response.body", "body": b"more"})

    async def receive() -> Message:
        raise AssertionError("nothing asks for a body")

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(resolve(app)(scope, receive, send), 10))
    [reached] = seen
    return reached, sent


def http(path: str, method: str = "GET", **more: object) -> Scope:
    headers = [(b"host", b"elsewhere")]
    return {"type": "http", "method": method, "path": path, "headers": headers, **more}


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/things", "/things"),
        ("/things/", "/things"),
        ("/things/a/", "/things/a"),
        ("/things//", "/things/"),
        ("/", "/"),
        ("//", "/"),
        ("", ""),
        ("/thi/ngs", "/thi/ngs"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_one_trailing_slash_is_stripped_and_never_that_of_the_root(
    path: str, reached: str, method: str
) -> None:
    assert ask(http(path, method))[0]["path"] == reached


OWN = Starlette(routes=[Route(path, print) for path in ("/health", "/api/v1/things")])


@pytest.mark.parametrize(
    ("root_path", "prefix"),
    [
        *((path, path) for path in ("/config", "/a/b", "/ap", "/api", "/api/v1", "/health")),
        *(("/config/", "/config"), ("config", "/config"), ("/", "")),
    ],
)
def test_the_prefix_that_the_server_puts_in_front_is_taken_off(root_path: str, prefix: str) -> None:
    for path in ("/api/v1/things", "/api/v1/things/", "/health", "/nothing"):
        given = http(root_path + path, root_path=root_path, app=OWN)
        reached, _ = ask(given)
        assert (reached["root_path"], reached["path"]) == (prefix, path.rstrip("/"))


@pytest.mark.parametrize("prefix", ["/config", "/a/b", "/ap"])
def test_a_prefix_that_the_proxy_left_on_is_taken_off_too(prefix: str) -> None:
    for path in ("/api/v1/things", "/config", "/configurations", "/"):
        given = http(prefix + prefix + path, root_path=prefix, app=OWN)
        reached, _ = ask(given)
        assert (reached["root_path"], reached["path"]) == (prefix, path)


@pytest.mark.parametrize("path", ["/configurations", "/", "/config-b/x", "/a/config"])
def test_a_path_that_does_not_begin_with_the_prefix_stays(path: str) -> None:
    given = http(path, root_path="/config", app=OWN)
    assert ask(given)[0]["path"] == path


@pytest.mark.parametrize("path", ["/config", "/config/"])
def test_the_prefix_alone_is_the_root(path: str) -> None:
    given = http(path, root_path="/config", app=OWN)
    assert ask(given)[0]["path"] == "/"


def test_a_trailing_slash_is_no_redirect() -> None:
    _, sent = ask(http("/things/"))
    assert sent == ask(http("/things"))[1]


def test_head_reaches_the_route_of_get() -> None:
    assert ask(http("/things", "HEAD"))[0]["method"] == "GET"


def test_head_is_answered_on_the_wire_like_get_and_without_the_body() -> None:
    server = Server(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none").start()
    try:
        for path in ("/health", "/docs", "/nowhere", "/api/v1/applications"):
            request = f"{path} HTTP/1.1\r\nHost: x\r\n"
            both = f"HEAD {request}\r\nGET {request}Connection: close\r\n\r\n"
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
                client.sendall(both.encode())
                with client.makefile("rb") as answers:
                    head, get, body = answers.read().split(b"\r\n\r\n", 2)
            assert get.startswith(b"HTTP/1.1 ")
            assert head.split(b"\r\n")[0] == get.split(b"\r\n")[0]
            assert body
    finally:
        server.stop()


def test_head_never_waits() -> None:
    for method, left in (("HEAD", []), ("GET", [(b"prefer", b"wait=30")])):
        given = http("/things", method)
        given["headers"] += [(b"prefer", b"wait=30")]
        assert ask(given)[0]["headers"] == [(b"host", b"elsewhere"), *left]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "head"])
def test_another_method_stays_what_it_is(method: str) -> None:
    scope, sent = ask(http("/things", method))
    assert scope["method"] == method
    assert sent[1]["body"] == b"some"


def test_the_server_s_own_scope_is_left_as_it_was() -> None:
    given = http("/things/", "HEAD")
    ask(given)
    assert given == http("/things/", "HEAD")


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_what_is_not_http_passes_untouched(kind: str) -> None:
    given = {"type": kind, "path": "/things/"}
    assert ask(given)[0] is given
