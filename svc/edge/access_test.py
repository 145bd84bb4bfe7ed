import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from database import Caller
from edge.access import APPLICATIONS, caller, check
from edge.tokens import Token, hash_of

WRITER, READER, CONFINED, CONFINED_READER = "of-the-writer", "of-the-reader", "of-one", "of-two"
TOKENS = [
    Token("writer", "write", hash_of(WRITER.encode()), None),
    Token("reader", "read", hash_of(READER.encode()), None),
    Token("confined", "write", hash_of(CONFINED.encode()), "shop"),
    Token("confined-reader", "read", hash_of(CONFINED_READER.encode()), "shop"),
    Token("foreign", "write", hash_of(b"\xfc\xff"), None),
]
OPEN_PATHS = {"/health", "/metrics"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]


@dataclass
class Answer:
    """The answer, and the caller that the app saw, if the request reached it."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    seen: Caller | None

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers[b"content-type"] == b"application/problem+json"
        told: dict[str, Any] = json.loads(self.body)
        assert told["status"] == self.status
        return told


def ask(
    *authorizations: str | bytes,
    path: str = "/things",
    method: str = "GET",
    tokens: list[Token] = TOKENS,
    root_path: str = "",
) -> Answer:
    """The answer to a request with these Authorization headers; reading its body fails the test."""
    seen: list[Caller] = []
    sent: list[Message] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        seen.append(caller.get())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"reached"})

    async def receive() -> Message:
        raise AssertionError("the body is not read")

    async def send(message: Message) -> None:
        sent.append(message)

    values = [text.encode() if isinstance(text, str) else text for text in authorizations]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": root_path,
        "headers": [(b"host", b"health"), *((b"authorization", value) for value in values)],
    }
    asyncio.run(asyncio.wait_for(check(app, tokens, OPEN_PATHS)(scope, receive, send), 10))
    start, *rest = sent
    body = b"".join(message["body"] for message in rest)
    return Answer(start["status"], dict(start["headers"]), body, seen[0] if seen else None)


def assert_unknown(answer: Answer) -> None:
    assert (answer.status, answer.seen) == (401, None)
    assert answer.headers[b"www-authenticate"] == b"Bearer"
    assert answer.problem["detail"] == "This needs a valid bearer token."


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic eDp5",
        f"Basic {WRITER}",
        WRITER,
        f" {WRITER}",
        f"Bearer{WRITER}",
        f"Bearer\t{WRITER}",
        f"Bearer {WRITER},",
        f"Bearer {WRITER} x",
        f"Bearer {WRITER.upper()}",
        f"Bearer {WRITER[:-1]}",
        f"Bearer {hash_of(WRITER.encode())}",
        "Bearer writer",
        f"Bearer Bearer {WRITER}",
    ],
)
def test_what_is_no_known_bearer_token_is_a_401(authorization: str) -> None:
    assert_unknown(ask(authorization))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/things", APPLICATIONS, "/nothing", "/", "", "*"])
def test_without_a_token_every_path_is_denied_with_every_method(path: str, method: str) -> None:
    assert_unknown(ask(path=path, method=method))


@pytest.mark.parametrize(
    "authorizations",
    [
        (f"Bearer {WRITER}", f"Bearer {WRITER}"),
        (f"Bearer {WRITER}", "Bearer wrong"),
        ("", f"Bearer {WRITER}"),
    ],
)
def test_more_than_one_authorization_is_none(authorizations: tuple[str, ...]) -> None:
    assert_unknown(ask(*authorizations))


@pytest.mark.parametrize("value", [b"Bearer \xff", b"\xfc\xff", b"Bearer \xc3\xbc\xc3\xbf"])
def test_an_unknown_token_that_is_not_ascii_is_a_401(value: bytes) -> None:
    assert_unknown(ask(value))


def test_a_token_is_known_by_the_bytes_of_the_header() -> None:
    assert ask(b"Bearer \xfc\xff").seen == ("foreign", None)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    assert ask(f"{scheme} {WRITER}").body == b"reached"


@pytest.mark.parametrize("method", METHODS)
def test_a_writer_may_read_and_write(method: str) -> None:
    assert ask(f"Bearer {WRITER}", method=method).seen == ("writer", None)
    assert ask(f"Bearer {WRITER}", method=method, path=APPLICATIONS).seen == ("writer", None)


@pytest.mark.parametrize("token", [READER, CONFINED_READER])
def test_a_reader_may_read(token: str) -> None:
    answer = ask(f"Bearer {token}")
    assert (answer.status, answer.body) == (200, b"reached")


@pytest.mark.parametrize("method", METHODS[1:])
@pytest.mark.parametrize("token", [READER, CONFINED_READER])
def test_a_reader_that_would_change_something_is_a_403(token: str, method: str) -> None:
    for path in ("/things", APPLICATIONS, "/nothing"):
        answer = ask(f"Bearer {token}", method=method, path=path)
        assert (answer.status, answer.seen) == (403, None)
        assert answer.problem["detail"] == "The token may only read."
        assert b"www-authenticate" not in answer.headers


def test_a_confined_token_makes_no_application() -> None:
    answer = ask(f"Bearer {CONFINED}", method="POST", path="/api/v1/applications")
    assert (answer.status, answer.seen) == (403, None)
    assert answer.problem["detail"] == "The token is confined to an application."
    assert "shop" not in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", APPLICATIONS),
        ("POST", "/api/v1/configurations"),
        ("PUT", f"{APPLICATIONS}/a"),
        ("DELETE", f"{APPLICATIONS}/a"),
    ],
)
def test_a_confined_token_reaches_all_else_with_its_application(method: str, path: str) -> None:
    assert ask(f"Bearer {CONFINED}", method=method, path=path).seen == ("confined", "shop")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_an_open_path_needs_no_token_and_makes_nobody_an_actor(path: str, method: str) -> None:
    for authorizations in ((), ("Bearer wrong",), (f"Bearer {CONFINED}",)):
        answer = ask(*authorizations, path=path, method=method)
        assert (answer.status, answer.seen) == (200, ("anonymous", None))


@pytest.mark.parametrize(
    "path",
    ["/HEALTH", "/health/", "/health/ready", "//health", "/healthx", "health", "/health/../things"],
)
def test_only_the_very_path_is_open(path: str) -> None:
    assert_unknown(ask(path=path))


def test_the_prefix_of_a_proxy_is_no_part_of_a_path() -> None:
    assert ask(path="/health", root_path="/config").status == 200
    for path in ("/config/health", "/config"):
        assert_unknown(ask(path=path, root_path="/config"))


@pytest.mark.parametrize("method", METHODS)
def test_where_there_are_no_tokens_all_is_open_to_the_anonymous(method: str) -> None:
    for authorizations in ((), ("Bearer wrong",), ("Bearer a", "Bearer b")):
        answer = ask(*authorizations, path=APPLICATIONS, method=method, tokens=[])
        assert (answer.status, answer.seen) == (200, ("anonymous", None))


def test_a_token_without_an_application_lifts_the_confinement_of_another() -> None:
    async def both() -> list[str | None]:
        seen: list[str | None] = []

        async def app(_: Scope, __: Receive, ___: Send) -> None:
            seen.append(caller.get().confined_to)

        async def nothing() -> Message:
            raise AssertionError("the body is not read")

        async def send(_: Message) -> None:
            raise AssertionError("nothing is refused")

        access = check(app, TOKENS, OPEN_PATHS)
        for token in (CONFINED, WRITER):
            headers = [(b"authorization", f"Bearer {token}".encode())]
            scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
            await access(scope, nothing, send)
        return seen

    assert asyncio.run(both()) == ["shop", None]


def test_the_start_of_the_server_needs_no_token() -> None:
    given: Scope = {"type": "lifespan"}
    seen: list[Scope] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(scope)

    async def nothing() -> Message:
        raise AssertionError("nothing is received")

    async def send(_: Message) -> None:
        raise AssertionError("nothing is sent")

    asyncio.run(asyncio.wait_for(check(app, TOKENS, OPEN_PATHS)(given, nothing, send), 10))
    assert seen == [given]
