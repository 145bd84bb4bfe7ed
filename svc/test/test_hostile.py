"""What no client should send: each gets the contract's status, and leaves no trace."""

import asyncio
import hashlib
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import Request
from starlette.types import Message

from config import Settings
from conftest import Server
from main import create_app
from wire.preconditions import Precondition, matches
from wire.prefer import wait_seconds

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
JSON = {"Content-Type": "application/json"}
LIMIT = 1024 * 1024
KEPT = '{"kept": [1.10, 12345678901234567890]}'


class Target:
    """A configuration that must not change, and the two ways to send another document."""

    def __init__(self, api: httpx.Client) -> None:
        self.api = api
        self.owner = api.post(APPLICATIONS, json={"name": "owner"}).json()["id"]
        made = self.send("POST", self.body("kept", KEPT))
        self.path = made.headers["location"]
        self.text = made.text

    def body(self, name: str, config: str) -> bytes:
        text = f'{{"application_id": "{self.owner}", "name": "{name}", "config": {config}}}'
        return text.encode("utf-8", "surrogatepass")

    def send(self, method: str, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
        path = CONFIGURATIONS if method == "POST" else self.path
        return self.api.request(method, path, content=body, headers=JSON | headers)

    def is_untouched(self) -> bool:
        listed = self.api.get(CONFIGURATIONS)
        return (
            self.api.get(self.path).text == self.text
            and listed.status_code == 200
            and [one["name"] for one in listed.json()] == ["kept"]
        )


@pytest.fixture
def target(api: httpx.Client) -> Target:
    return Target(api)


@pytest.fixture(params=["POST", "PUT"])
def method(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    """A document of that many levels, its own object counted."""
    return f'{{"a": {opening * (levels - 1)}{closing * (levels - 1)}}}'


REFUSED = {
    "NaN": ('{"a": NaN}', "/config/a"),
    "Infinity": ('{"a": [0, Infinity]}', "/config/a/1"),
    "-Infinity": ('{"a": -Infinity}', "/config/a"),
    "1e400": ('{"a": 1e400}', "/config/a"),
    "-1e400": ('{"a": {"b": -1e400}}', "/config/a/b"),
    "1.8e308": ('{"a": 1.8e308}', "/config/a"),
    "1e999999999": ('{"a": 1e999999999}', "/config/a"),
    "1e-400": ('{"a": 1e-400}', "/config/a"),
    "9e-309": ('{"a": 9e-309}', "/config/a"),
    "an exponent of 30 digits": (f'{{"a": 1e{"9" * 30}}}', "/config/a"),
    "400 digits and a large value": (f'{{"a": {"9" * 400}}}', "/config/a"),
    "401 digits": (f'{{"a": 0.{"1" * 400}}}', "/config/a"),
    "5,000 digits": (f'{{"a": 0.{"1" * 5000}}}', "/config/a"),
    "a zero of 401 digits": ('{"a": 0e-400}', "/config/a"),
    "NUL in a string": ('{"a": "x\\u0000"}', "/config/a"),
    "NUL in a key": ('{"a": {"\\u0000": 1}}', "/config/a"),
    "a high surrogate": ('{"a": "\\ud800"}', "/config/a"),
    "a low surrogate": ('{"a": "\\udc00x"}', "/config/a"),
    "surrogates in the wrong order": ('{"a": "\\udc00\\ud800"}', "/config/a"),
    "a surrogate in a key": ('{"\\ud800": 1}', "/config"),
    "a key twice": ('{"a": 1, "b": 2, "a": 3}', "/config/a"),
    "a key twice below": ('{"a/b": {"~": {"x": 1, "x": 1}}}', "/config/a~1b/~0/x"),
    "a key twice, once escaped": ('{"a": 1, "\\u0061": 2}', "/config/a"),
    "65 levels of lists": (nested(65), "/config/a" + "/0" * 63),
    "65 levels of objects": (nested(65, '{"k":', "1}")[:-1] + "}", None),
    "6,000 levels": (nested(6000), None),
    "100,000 levels": (nested(100_000), ""),
    "a list": ("[]", "/config"),
    "null": ("null", "/config"),
    "a string": ('"{}"', "/config"),
    "a number": ("1", "/config"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_document_that_cannot_be_kept_is_refused_at_its_place(
    target: Target, method: str, case: str
) -> None:
    config, pointer = REFUSED[case]
    answer = target.send(method, target.body("hostile", config))
    assert answer.status_code == 400, answer.text
    assert len(answer.content) < 5000
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert target.is_untouched()


KEPT_AS_SENT = [
    '{"a": 12345678901234567890, "b": 0.12345678901234567890, "c": 1.10, "d": 1.0, "e": 1}',
    '{"a": -0.10, "b": 0.0, "c": 100000000000000000000000000000000}',
    f'{{"a": {"9" * 300}, "b": 0.{"1" * 307}}}',
    f'{{"a": 0.{"1" * 399}}}',
    '{"": {"": [[], {}, "", null, true, false]}}',
    '{"a/b~c": "\\\\ \\" \\n \\t ü \U0001f600"}',
    nested(64).replace(" ", "").replace(":", ": "),
]


@pytest.mark.parametrize("config", KEPT_AS_SENT)
def test_a_document_comes_back_as_it_was_sent(target: Target, method: str, config: str) -> None:
    answer = target.send(method, target.body("exact", config))
    assert answer.status_code in {200, 201}, answer.text
    path = answer.headers.get("location", target.path)
    assert f'"config":{config}}}' in target.api.get(path).text


@pytest.mark.parametrize(
    ("config", "printed"),
    [
        ('{"a": 1e2}', '{"a": 100}'),
        ('{"a": 1.5E+3}', '{"a": 1500}'),
        ('{"a": 1e-3}', '{"a": 0.001}'),
        ('{"a": -0.0}', '{"a": 0.0}'),
        ('{"a": 1e-308}', f'{{"a": 0.{"0" * 307}1}}'),
        ('{"a": 1.7976931348623157e308}', f'{{"a": 17976931348623157{"0" * 292}}}'),
        ('{"a": "\\u00fc\\/\\ud83d\\ude00"}', '{"a": "ü/\U0001f600"}'),
    ],
)
def test_another_spelling_of_the_same_value_may_come_back(
    target: Target, method: str, config: str, printed: str
) -> None:
    answer = target.send(method, target.body("exact", config))
    assert f'"config":{printed}}}' in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"{} {}",
        b"{'name': 'x'}",
        b'{"name": "x",}',
        b'{"name": "x" /* why */}',
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"name": "x", "config": {}}',
        '{"name": "x", "config": {}}'.encode("utf-16"),
        '{"name": "x", "config": {}}'.encode("utf-16-le"),
        '{"name": "x", "config": {}}'.encode("utf-32"),
        b'{"name": "x\\u0000", "config": {}}',
        b'{"name": "\\ud800", "config": {}}',
        b'{"name": "x", "comments": "\\u0000", "config": {}}',
        b'{"name": "x", "name": "x", "config": {}}',
        b'{"name": "x", "config": {}, "config": {}}',
        b'{"name": "x", "config": {}, "\\u0000": 1}',
        b'{"name": "x", "config": {}, "conifg": {}}',
        b'{"name": NaN, "config": {}}',
        b'{"name": "x", "comments": [[[1e400]]], "config": {}}',
    ],
)
def test_a_body_that_is_not_right_is_a_400(target: Target, method: str, body: bytes) -> None:
    assert target.send(method, body).status_code == 400
    assert target.is_untouched()


def test_at_most_twenty_errors_are_listed(target: Target, method: str) -> None:
    answer = target.send(method, target.body("x", json.dumps({"a": [float("nan")] * 100})))
    assert len(answer.json()["errors"]) == 20


def test_no_answer_repeats_a_value_of_the_document(target: Target, method: str) -> None:
    canary = "canary-in-the-document"
    for config in [f'{{"a": "{canary}", "b": NaN}}', f'{{"a": "{canary}\\u0000"}}', f'"{canary}"']:
        answer = target.send(method, target.body("x", config))
        assert answer.status_code == 400
        assert canary not in answer.text
    name = target.body("x" * 300 + canary, "{}")
    assert canary not in target.send(method, name).text


# Size


def sized(target: Target, size: int) -> bytes:
    """A body of so many bytes whose answer is a little shorter: white space is not kept."""
    frame = target.body("big", '{"a": ""}')
    text = target.body("big", f'{{"a": "{"x" * (size - len(frame) - 200)}"}}')
    return text + b" " * (size - len(text))


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 60_000):
        yield body[start : start + 60_000]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_exactly_the_limit_is_kept_and_one_byte_more_is_a_413(
    target: Target, method: str, chunked: bool
) -> None:
    over, exact = sized(target, LIMIT + 1), sized(target, LIMIT)
    assert len(exact) == LIMIT
    answer = target.send(method, chunks(over) if chunked else over)
    assert answer.status_code == 413
    assert target.is_untouched()
    answer = target.send(method, chunks(exact) if chunked else exact)
    assert answer.status_code in {200, 201}
    path = answer.headers.get("location", target.path)
    assert target.api.get(path).json()["config"] == json.loads(exact)["config"]


def test_a_document_that_is_long_to_print_is_a_413(target: Target, method: str) -> None:
    config = f'{{"a": [{",".join(["1e308"] * 100_000)}]}}'
    assert target.send(method, target.body("long", config)).status_code == 413
    assert target.is_untouched()


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    head = f"POST {APPLICATIONS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for rest in [
        f"Content-Length: {LIMIT + 1}\r\n\r\n".encode(),
        b"Content-Length: 999999999999\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n110000\r\n" + b"x" * 0x110000,
    ]:
        assert b" 413 " in raw(server, head.encode() + rest), rest[:40]


# Content types


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/merge-patch+json"},
        {"Content-Type": "application/jsonx"},
        {"Content-Type": "application/json, application/json"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "identity"},
    ],
)
def test_a_body_of_another_type_is_a_415(
    target: Target, method: str, headers: dict[str, str]
) -> None:
    assert target.send(method, target.body("x", "{}"), **headers).status_code == 415
    assert target.is_untouched()


@pytest.mark.parametrize(
    "content_type",
    ["application/json;charset=utf-8", 'Application/JSON ; CharSet="UTF-8"'],
)
def test_the_spelling_of_the_content_type_does_not_matter(
    target: Target, content_type: str
) -> None:
    answer = target.send("PUT", target.body("x", "{}"), **{"Content-Type": content_type})
    assert answer.status_code == 200


# Paths, queries and headers


def raw(server: Server, request: bytes) -> bytes:
    """The first bytes of the answer to what no client library would send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(request)
        return client.recv(65536)


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", *(headers or ["Host: x"]), "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get(f"{APPLICATIONS}/%zz"), 400),
        (get(f"{APPLICATIONS}/%"), 400),
        (get(f"{APPLICATIONS}/%00"), 400),
        (get(f"{APPLICATIONS}/%ff%fe"), 400),
        (get(f"{APPLICATIONS}/%F0%9F%98%80"), 400),
        (get(f"{APPLICATIONS}/a%2Fb"), 404),
        (get(f"{APPLICATIONS}/" + "x" * 30_000), 400),
        (get(f"{APPLICATIONS}?" + "x" * 30_000), 400),
        (get(f"{APPLICATIONS}?name=" + "x" * 30_000), 400),
        (get(f"{APPLICATIONS}?" + "&".join(["limit=1"] * 3000)), 400),
        (get(f"{APPLICATIONS}?limit=1e9"), 400),
        (get(f"{APPLICATIONS}?limit=99999999999999999999999"), 400),
        (get(f"{APPLICATIONS}?limit=%31"), 200),
        (get(f"{APPLICATIONS}?limit=\xb2"), 400),
        (get(f"{APPLICATIONS}?after=%00"), 400),
        (get(f"{APPLICATIONS}?%00=1"), 400),
        (get(f"{APPLICATIONS}?&&&"), 200),
        (get(f"{APPLICATIONS}?="), 400),
        (get("/"), 404),
        (get("//"), 404),
        (get("//api/v1/applications"), 404),
        (get("/api/v1/../health"), 404),
        (get("/API/V1/APPLICATIONS"), 404),
        (get(f"{APPLICATIONS}//"), 404),
        (get(APPLICATIONS, "Host: a/health?"), 200),
        (get(APPLICATIONS, "Host: \xff\xfe"), 200),
        (get(APPLICATIONS, "Host: x", "Host: y"), 200),
        (get(APPLICATIONS, "Host: x", "Accept: \xff", "Accept: text/csv"), 200),
        (get(APPLICATIONS, "Host: x", "X: " + "y" * 30_000), 200),
    ],
)
def test_a_strange_request_is_answered_and_never_fails(
    server: Server, api: httpx.Client, request_: bytes, status: int
) -> None:
    assert api.get("/health").status_code == 200
    first = raw(server, request_).split(b"\r\n")[0]
    assert int(first.split()[1]) == status, first


def test_two_content_types_are_none(server: Server) -> None:
    types = "Content-Type: application/json\r\nContent-Type: text/plain\r\n"
    request = f"POST {APPLICATIONS} HTTP/1.1\r\nHost: x\r\n{types}Content-Length: 2\r\n\r\n{{}}"
    assert b" 415 " in raw(server, request.encode())


def test_where_several_refusals_apply_the_earlier_is_answered(api: httpx.Client) -> None:
    def status(method: str, path: str, **more: Any) -> int:
        return api.request(method, path, **more).status_code

    nowhere = f"{APPLICATIONS}/01ARZ3NDEKTSV4RRFFQ69G5FAV"
    text = {"Content-Type": "text/plain"}
    big = b"x" * (LIMIT + 1)
    assert status("POST", "/api/v1/nothing", content=big, headers=text) == 404
    assert status("PATCH", APPLICATIONS, content=big, headers=text) == 405
    assert status("POST", f"{APPLICATIONS}?x=1", content=big, headers=text) == 415
    assert status("POST", f"{APPLICATIONS}?x=1", content=big, headers=JSON) == 413
    assert status("PUT", f"{APPLICATIONS}/x", content=big, headers=JSON) == 413
    assert status("PUT", nowhere, content=b"{}", headers=JSON) == 400
    assert status("PUT", nowhere, json={"name": "x"}) == 404


# Time: ten times the text costs some ten times the time, whatever the text is. Time that grows with
# the square of the length would be a hundred times: the margin lies between the two.

MARGIN = 5
NO_TIME = 0.0002  # seconds that are too few to tell anything: less counts as this
MOST_SECONDS = 60
HEADER_SIZES = 1_600, 16_000
BODY_SIZES = 50_000, 500_000


class Worst(NamedTuple):
    """A text of any length: a start, what is repeated, and an end."""

    start: str
    repeated: str
    end: str = ""

    def of(self, size: int) -> str:
        """About `size` bytes; a `#` in what is repeated is another number each time."""
        times = size // len(self.repeated.encode())
        if "#" not in self.repeated:
            return self.start + self.repeated * times + self.end
        numbered = (self.repeated.replace("#", f"{number:x}") for number in range(times // 4))
        return self.start + "".join(numbered) + self.end


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Stops what takes longer, so that a test that would never end fails instead."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def hold_in_proportion(
    read: Callable[[str], object], worst: Worst, sizes: tuple[int, int] = HEADER_SIZES
) -> None:
    """Asserts that `read` takes time in proportion to the length of the text."""

    def cost(text: str) -> float:
        began = time.perf_counter()
        read(text)
        return time.perf_counter() - began

    short, long = (worst.of(size) for size in sizes)
    with at_most(MOST_SECONDS):
        least = max(min(cost(short) for _ in range(3)), NO_TIME)
        bound = MARGIN * least * sizes[1] / sizes[0]
        # Other work on the machine may slow some of them down, but not all.
        assert any(cost(long) < bound for _ in range(20)), (worst, bound)


LISTS = [
    *(Worst('"a"', ", ", "x"), Worst('"a"', ",", '"'), Worst("", " ", "x"), Worst("", " \t", ",")),
    *(Worst("", '"'), Worst('"', "a"), Worst("", '"a"'), Worst("", '"a" '), Worst("", '"a",')),
    *(Worst("", "W/"), Worst("", 'W/"'), Worst("", 'W/"#",'), Worst("", ",", "*"), Worst("", "*")),
]
PREFERENCES = [
    *LISTS,
    *(Worst("wait=", " ", "x"), Worst("wait", "="), Worst("wait=", '"'), Worst("wait=", "9")),
    *(Worst("a=", r"\"", ","), Worst('"', "\\"), Worst('"', r"\""), Worst('"', r"\"", '", wait=5')),
    *(Worst("", ";"), Worst("", "a;wait=5;"), Worst("", 'a="b,",'), Worst("wait=5 ", "; a", '"')),
]


@pytest.mark.parametrize("worst", PREFERENCES)
def test_preferences_are_read_in_time_that_grows_with_their_length(worst: Worst) -> None:
    settings = SimpleNamespace(max_wait_seconds=60)
    app = SimpleNamespace(state=SimpleNamespace(settings=settings))
    request = Request({"type": "http", "app": app})
    hold_in_proportion(lambda text: wait_seconds(request, [text]), worst)
    hold_in_proportion(lambda text: wait_seconds(request, text.split(",")), worst)


@pytest.mark.parametrize("tag", ['"7"', 'W/"#"', '"a"', '"""'])
def test_entity_tags_are_compared_in_time_that_grows_with_their_number(tag: str) -> None:
    def compare(text: str) -> None:
        tags = text.split(",")
        matches(tags, '"0"')
        _ = Precondition(tags, is_required=False).revisions

    hold_in_proportion(compare, Worst("", f"{tag},"))


TOKEN = "a token"


class Unserved:
    """The service without a server and a database, for requests that it refuses by themselves."""

    def __init__(self) -> None:
        hashed = hashlib.sha256(TOKEN.encode()).hexdigest()
        self.app = create_app(Settings.model_validate({"api_tokens": f"ci:write:{hashed}"}))
        self.runner = asyncio.Runner()

    def refuse(
        self, method: str, path: str, query: str = "", body: str = "", **headers: str
    ) -> int:
        """The status of a request; a header's name has `_` for `-`."""
        sent = {"authorization": f"Bearer {TOKEN}", "content_type": "application/json"} | headers
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()
            ],
        }
        messages = iter([{"type": "http.request", "body": body.encode()}])
        answers = list[Message]()

        async def receive() -> Message:
            return next(messages)

        async def send(message: Message) -> None:
            answers.append(message)

        async def serve() -> None:
            await self.app(scope, receive, send)

        self.runner.run(serve())
        status: int = answers[0]["status"]
        assert 400 <= status < 500
        return status


@pytest.fixture(scope="module")
def unserved() -> Iterator[Unserved]:
    service = Unserved()
    yield service
    service.runner.close()


HEADERS = [
    *(("if_none_match", worst) for worst in LISTS),
    *(("prefer", worst) for worst in PREFERENCES),
    *(("authorization", worst) for worst in (Worst("Bearer", " ", "x"), Worst("Bearer ", "a"))),
    *(
        ("authorization", worst)
        for worst in (Worst("", "Bearer "), Worst("B", " "), Worst("", ","))
    ),
    *(("x_request_id", worst) for worst in (Worst("", "a"), Worst("", "a", "/"), Worst("", "."))),
    *(("content_type", Worst("application/json", more, "x")) for more in ("; ", ";", " ", "\t;")),
    *(("content_type", Worst("", more)) for more in ("a/b;", "/", "application/json,", ";=")),
    *(("content_type", Worst("application/json;", more)) for more in ("charset=utf-8;", '="', " ")),
    *(("content_type", Worst('application/json;charset="', more)) for more in ('"', "utf-8", " ")),
    ("content_length", Worst("", "9")),
    ("content_encoding", Worst("", "gzip,")),
    ("host", Worst("", "a.")),
    ("cookie", Worst("", "a=b;")),
    ("accept", Worst("", "*/*;q=0.1,")),
]


@pytest.mark.parametrize(("header", "worst"), HEADERS)
def test_a_header_is_read_in_time_that_grows_with_its_length(
    unserved: Unserved, header: str, worst: Worst
) -> None:
    method = "POST" if header.startswith("content") else "GET"
    path = APPLICATIONS if method == "POST" else f"{CONFIGURATIONS}/x"
    hold_in_proportion(lambda text: unserved.refuse(method, path, **{header: text}), worst)


def test_headers_are_read_in_time_that_grows_with_their_number(unserved: Unserved) -> None:
    def many(text: str) -> None:
        unserved.refuse(
            "GET", f"{CONFIGURATIONS}/x", **{f"h{n}": "" for n in range(len(text) // 4)}
        )

    hold_in_proportion(many, Worst("", "a"))


@pytest.mark.parametrize(
    "worst",
    [
        *(Worst("", one, "&x") for one in ("&", "=", "a=&", "limit=1&", "%41", "%", "+", ";", "?")),
        *(Worst(f"{name}=", one) for name in ("name", "after", "limit") for one in ("a", "9", " ")),
        *(Worst("name=", one) for one in ("%00", "%ff", "+", "%20", "a+", "%0A")),
        Worst("name=", "%F0%9F%98%80", "&x"),
        *(Worst("", "name=a#&"), Worst("", "x#&"), Worst("limit=", "0", "1&x")),
    ],
)
def test_a_query_is_read_in_time_that_grows_with_its_length(
    unserved: Unserved, worst: Worst
) -> None:
    hold_in_proportion(lambda text: unserved.refuse("GET", APPLICATIONS, query=text), worst)


@pytest.mark.parametrize("repeated", ["/", "a", "a/", "{", "..", "/api/v1/applications", "\0", "0"])
def test_a_path_is_read_in_time_that_grows_with_its_length(
    unserved: Unserved, repeated: str
) -> None:
    for start in ("/", f"{APPLICATIONS}/"):
        hold_in_proportion(lambda text: unserved.refuse("GET", text), Worst(start, repeated, "-"))


@pytest.mark.parametrize(
    "worst",
    [
        *(Worst("", one) for one in (" ", "\n", "[", "{", '{"a":', '"', "1", "\\", ",", "\0", "ä")),
        *(Worst("{", one) for one in (" ", '"a":1,', '"a#":1,', '"a#":{},', '"\\ud800":1,', '"')),
        *(Worst('{"name": "', one, '"}') for one in (" ", "a", r"\u0000", r"\ud800", r"\"", "😀")),
        *(Worst('{"name": ', one, "}") for one in ("9", "-", "0", "1e", "[", "[[],", "{}", '"a"')),
        *(Worst('{"name": 0.', one, "}") for one in ("9", "0", "1e")),
        *(Worst('{"name": 1e', one, "}") for one in ("9", "0", "-")),
        *(Worst('{"config": {', one, '"b": 1}}') for one in ('"a": 1,', '"a#": NaN,', '"a#": 1,')),
        *(
            Worst('{"config": {', one, '"b": 1}}')
            for one in (r'"\u0000#": 1,', '"a": {"b": [[]]},')
        ),
        *(
            Worst('{"config": {"a": [', one, "0]}}")
            for one in ("1e999,", "NaN,", "[],", "{},", "1,")
        ),
        *(
            Worst('{"config": {"a": [', one, "0]}}")
            for one in (f"{'9' * 399},", r'"\ud800",', "\n")
        ),
        Worst('{"config": {"a": ' + "[" * 62, "[],", "0" + "]" * 62 + "}}"),
        Worst('{"config": {"a": ' + "[" * 62, "[NaN],", "0" + "]" * 62 + "}}"),
        Worst('{"config": {"a": ' + "[" * 62, "[[[]]],", "0" + "]" * 62 + "}}"),
    ],
)
def test_a_body_is_read_in_time_that_grows_with_its_length(
    unserved: Unserved, worst: Worst
) -> None:
    def read(text: str) -> None:
        assert unserved.refuse("POST", CONFIGURATIONS, body=text) == 400

    hold_in_proportion(read, worst, BODY_SIZES)
