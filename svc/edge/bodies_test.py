import asyncio
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message, Receive, Scope, Send

from edge import problems
from edge.bodies import check
from wire.route import ContentRoute

LIMIT, CONTENT_LIMIT = 10, 20
JSON = ("content-type", "application/json")

app = FastAPI(exception_handlers=problems.HANDLERS)


@app.api_route("/bodies", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
async def take(request: Request) -> dict[str, str]:
    return {"taken": (await request.body()).decode()}


app.router.add_api_route("/content", take, methods=["PUT"], route_class_override=ContentRoute)


@app.post("/unread")
async def leave() -> dict[str, str]:
    return {"taken": ""}


app.add_middleware(check, limit=LIMIT, content_limit=CONTENT_LIMIT)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    unread: list[bytes]


def ask(
    *headers: tuple[str, str],
    chunks: Iterable[bytes] = (b"{}",),
    method: str = "POST",
    path: str = "/bodies",
) -> Answer:
    """The answer to a request whose body comes in `chunks`, and the chunks that were not read."""
    left, sent = list(chunks), list[Message]()

    async def receive() -> Message:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": raw}
    asyncio.run(app(scope, receive, send))
    start, *bodies = sent
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    text = b"".join(message.get("body", b"") for message in bodies)
    return Answer(start["status"], answered, json.loads(text), left)


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        " application/json ",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json ; charset="utf-8"',
        "application/json; charset=utf8",
    ],
)
def test_json_in_utf_8_is_taken(method: str, content_type: str) -> None:
    answer = ask(("content-type", content_type), method=method)
    assert (answer.status, answer.body) == (200, {"taken": "{}"})


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "")],
        [("content-type", "text/plain")],
        [("content-type", "text/json")],
        [("content-type", "application/x-www-form-urlencoded")],
        [("content-type", "application/json5")],
        [("content-type", "application/merge-patch+json")],
        [("content-type", "application/json, text/plain")],
        [("content-type", "application/json; charset=utf-16")],
        [("content-type", "application/json; charset=iso-8859-1")],
        [("content-type", "application/json; charset=")],
        [("content-type", "application/json; charset=utf-8; charset=utf-16")],
        [("content-type", "; charset=utf-8")],
        [JSON, JSON],
        [JSON, ("content-type", "text/plain")],
        [JSON, ("content-encoding", "gzip")],
        [JSON, ("content-encoding", "identity")],
        [JSON, ("content-encoding", "")],
    ],
)
def test_anything_else_is_a_415_before_the_body_is_read(
    method: str, headers: list[tuple[str, str]]
) -> None:
    answer = ask(*headers, method=method, chunks=[b"1" * 20])
    assert answer.status == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert "accept-patch" not in answer.headers
    assert answer.unread == [b"1" * 20]


def test_a_patch_is_a_merge_patch_and_nothing_else() -> None:
    merge_patch = "application/merge-patch+json"
    assert ask(("content-type", merge_patch), method="PATCH").status == 200
    for headers in ([JSON], [], [("content-type", "application/json-patch+json")]):
        answer = ask(*headers, method="PATCH")
        assert answer.status == 415
        assert answer.headers["accept-patch"] == merge_patch


@pytest.mark.parametrize(
    "chunks",
    [[b"1" * LIMIT], [b"1"] * LIMIT, [b"", b"1" * LIMIT, b""], [b"1" * (LIMIT - 1), b"1"], [b""]],
)
def test_a_body_up_to_the_limit_is_taken_whole(chunks: list[bytes]) -> None:
    answer = ask(JSON, chunks=chunks)
    assert (answer.status, answer.body) == (200, {"taken": b"".join(chunks).decode()})


@pytest.mark.parametrize(
    ("chunks", "unread"),
    [
        ([b"1" * (LIMIT + 1)], 0),
        ([b"1" * LIMIT, b"1"], 0),
        ([b"1" * LIMIT, b"", b"1", b"1"], 1),
        ([b"1" * 6] * 100, 98),
    ],
)
@pytest.mark.parametrize("headers", [[], [("content-length", "5")], [("content-length", "many")]])
def test_a_larger_body_is_a_413_at_the_byte_that_is_too_many(
    headers: list[tuple[str, str]], chunks: list[bytes], unread: int
) -> None:
    answer = ask(JSON, *headers, chunks=chunks)
    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert str(LIMIT) in answer.body["detail"]
    assert len(answer.unread) == unread


@pytest.mark.parametrize("length", [str(LIMIT + 1), "9" * 12, "9" * 5000])
def test_a_content_length_beyond_the_limit_is_a_413_before_the_body_is_read(length: str) -> None:
    answer = ask(JSON, ("content-length", length), chunks=[b"{}"])
    assert answer.status == 413
    assert answer.unread == [b"{}"]


def test_a_content_length_at_the_limit_is_taken() -> None:
    assert ask(JSON, ("content-length", str(LIMIT)), chunks=[b"1" * LIMIT]).status == 200


def test_the_content_of_an_application_has_a_limit_of_its_own() -> None:
    for size, status in ((CONTENT_LIMIT, 200), (CONTENT_LIMIT + 1, 413)):
        for length in ([], [("content-length", str(size))]):
            answer = ask(
                JSON,
                *length,
                method="PUT",
                path="/content",
                chunks=[b"1" * LIMIT, b"1" * (size - LIMIT)],
            )
            assert answer.status == status
    assert answer.body["detail"] == f"The body is larger than {CONTENT_LIMIT} bytes."


def test_the_type_is_refused_before_the_size() -> None:
    assert ask(("content-length", "11"), chunks=[b"1" * 11]).status == 415


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_method_without_a_body_is_not_asked_for_its_type(method: str) -> None:
    assert ask(method=method, chunks=[b""]).status == 200


def test_a_path_that_is_unknown_or_takes_no_body_is_not_refused_for_the_body() -> None:
    assert ask(path="/nowhere", chunks=[b"1" * 20]).status == 404
    assert ask(path="/unread", chunks=[b"1" * 20], method="PUT").status == 405
    assert ask(path="/unread", chunks=[b"1" * 20]).status == 200


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_what_is_not_http_passes_untouched(kind: str) -> None:
    given: list[object] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        given.extend((scope, receive, send))

    async def receive() -> Message:
        raise AssertionError("nothing asks for a message")

    async def send(_: Message) -> None:
        raise AssertionError("nothing is sent")

    scope = {"type": kind}
    asyncio.run(asyncio.wait_for(check(inner, LIMIT, CONTENT_LIMIT)(scope, receive, send), 10))
    assert given == [scope, receive, send]
