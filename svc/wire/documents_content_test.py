"""Bodies whose documents are three levels down, as in the content of an application."""

import json
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError

from wire import documents
from wire.documents import Location, ObjectText, read_object
from wire.refusals import Refused

LIMIT = 100_000
PADDING = " " * LIMIT  # makes a body one that may hold a document that is too large


def read(body: str, limit: int = LIMIT) -> dict[str, Any]:
    return read_object(body.encode(), (5, 200, 5), limit)


def content(**items: str) -> str:
    members = ", ".join(f'"{name}": {{"config": {config}}}' for name, config in items.items())
    return f'{{"configurations": {{{members}}}}}'


def faults(body: str) -> list[tuple[Location, str]]:
    with pytest.raises(RequestValidationError) as refusal:
        read(body)
    return [(error["loc"][1:], error["msg"]) for error in refusal.value.errors()]


def too_large(body: str, limit: int = LIMIT) -> list[Location]:
    with pytest.raises(Refused) as refusal:
        read(body, limit)
    assert refusal.value.status_code == 413
    return [where for where, _ in refusal.value.errors]


@pytest.mark.parametrize("padding", ["", PADDING])
def test_a_document_keeps_its_text_and_what_is_around_it_its_values(padding: str) -> None:
    text = '{"rate": 1.10, "a": [{"b": {}}], "c": "\\"}"}'
    item = f'{{"config" : {text} , "comments": null, "revision": 3, "more": [1]}}'
    given = read(f'{{"sequence": 46,\n"configurations": {{"eu": {item}, "us": null}} }}{padding}')
    configurations = given["configurations"]
    assert (given["sequence"], configurations["us"]) == (46, None)
    assert set(configurations["eu"]) == {"config", "comments", "revision", "more"}
    assert (configurations["eu"]["comments"], configurations["eu"]["revision"]) == (None, 3)
    assert isinstance(configurations["eu"]["config"], ObjectText)
    assert configurations["eu"]["config"].text == text


def test_only_the_text_of_a_document_is_kept() -> None:
    item = read('{"configurations": {"eu": {"config": {"a": 1}, "more": [1]}}}')["configurations"]
    assert item == {"eu": {"config": {}, "more": []}}


DEEP = '{"a": ' * 64 + "{}" + "}" * 64
NULL = "This holds a NUL character or a lone surrogate"


@pytest.mark.parametrize("padding", ["", PADDING])
@pytest.mark.parametrize(
    ("body", "where", "reason"),
    [
        ('{"a": 1, "a": 1}', ("eu", "config", "a"), "This is there twice"),
        ('{"a": [0, NaN]}', ("eu", "config", "a", 1), "This is not a JSON number"),
        ('{"a": 1e400}', ("eu", "config", "a"), "This is a number larger than"),
        ('{"a": "\\u0000"}', ("eu", "config", "a"), NULL),
        ('{"a": {"b": 1, "b": 2}}', ("eu", "config", "a", "b"), "This is there twice"),
        ('{"\\ud800": 1}', ("eu", "config"), "This has a key with a NUL"),
        (DEEP, ("eu", "config", *["a"] * 64), "This is nested deeper than 64 levels"),
        ("[" * 100_000, ("eu",), "This is nested deeper than 64 levels"),
        ('"\\u0000"', ("eu", "config"), NULL),
        ("NaN", ("eu", "config"), "This is not a JSON number"),
        ('{}, "config": {}', ("eu", "config"), "This is there twice"),
        ('{}}, "us": {"a": 1, "a": 1', ("us", "a"), "This is there twice"),
        ('{}}, "us": {"\\u0000": 1', ("us",), "This has a key with a NUL"),
        ('{}}, "\\u0000": {"config": {"a": NaN}', (), "This has a key with a NUL"),
        ('{}}, "eu": {', ("eu",), "This is there twice"),
    ],
)
def test_a_fault_is_told_where_it_stands(
    body: str, where: Location, reason: str, padding: str
) -> None:
    [(told, said)] = faults(content(eu=body) + padding)
    assert told == ("configurations", *where)
    assert said.startswith(reason)


@pytest.mark.parametrize("padding", ["", PADDING])
def test_the_first_20_faults_are_told_in_the_order_of_the_text(padding: str) -> None:
    few, many = '{"a": NaN, "b": 1, "c": {"d": 1e400}}', f'{{"a": [{", ".join(["NaN"] * 50)}]}}'
    told = faults(content(eu=few, us='{"a": "\\ud800"}', ch="{}", jp=many) + padding)
    assert [where[1:] for where, _ in told] == [
        ("eu", "config", "a"),
        ("eu", "config", "c", "d"),
        ("us", "config", "a"),
        *(("jp", "config", "a", number) for number in range(17)),
    ]


def test_a_document_may_have_64_levels_of_its_own() -> None:
    text = '{"a": ' * 63 + "{}" + "}" * 63
    assert read(content(eu=text))["configurations"]["eu"]["config"].text == text


def test_only_documents_that_may_have_a_fault_are_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched, search = list[Any](), documents._faults

    def noting(value: Any, where: Location, depth: int) -> Any:
        if (where, depth) == ((), 1):
            searched.append(value)
        return search(value, where, depth)

    monkeypatch.setattr(documents, "_faults", noting)
    harmless = {f"c{number}": '{"a": [{}]}' for number in range(100)}
    read(content(**harmless))
    assert searched == []
    with pytest.raises(RequestValidationError):
        read(content(**harmless, bad='{"b": NaN}', **{f"d{number}": "{}" for number in range(9)}))
    assert [list(value) for value in searched] == [["b"]]


def document(size: int, filling: str = "a") -> str:
    """A document of so many bytes."""
    return f'{{"a":"{filling * ((size - 8) // len(filling.encode()))}"}}'


@pytest.mark.parametrize("filling", ["a", "é", "日", "😀", '\\"', "\\\\", "{", "]", "\\u00e9"])
@pytest.mark.parametrize("limit", [1_400, 100_040])
def test_a_document_up_to_the_limit_in_bytes_is_taken_and_a_larger_one_named(
    filling: str, limit: int
) -> None:
    fits = document(limit, filling)
    fits = fits.replace("{", "{" + " " * (limit - len(fits.encode())), 1)
    assert len(fits.encode()) == limit
    given = read(content(eu=fits, us="{}"), limit)["configurations"]
    assert (given["eu"]["config"].text, given["us"]["config"].text) == (fits, "{}")
    larger = fits.replace("{", "{ ", 1)
    assert too_large(content(eu=larger, ch=fits, us=larger), limit) == [
        ("body", "configurations", "eu"),
        ("body", "configurations", "us"),
    ]


LARGE = "a" * (LIMIT + 1)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (content(eu=f'["{LARGE}"]'), ("configurations", "eu")),
        (content(eu=f'"{LARGE}"'), ("configurations", "eu")),
        (content(eu="1" * (LIMIT + 1)), ("configurations", "eu")),
        (content(eu="[" + '"a",' * LIMIT + "1]"), ("configurations", "eu")),
        (content(eu=f'{{}}, "comments": "{LARGE}", "more": "{LARGE}"'), ("configurations", "eu")),
        (f'{{"configurations": {{"eu": "{LARGE}"}}}}', ("configurations", "eu")),
        (f'{{"configurations": "{LARGE}"}}', ("configurations",)),
        (f'{{"configurations": {{"{LARGE}": {{}}}}}}', ("configurations",)),
        (f'{{"configurations": {{"a\\u0000": {{"config": "{LARGE}"}}}}}}', ("configurations",)),
    ],
)
def test_whatever_is_too_large_is_told_by_its_configuration(body: str, where: Location) -> None:
    assert too_large(body) == [("body", *where)]


@pytest.mark.parametrize("end", ["", '"', '"}', ', "b": oops}}}}', '"}}, "us": {"config": NaN}}}'])
def test_a_document_that_is_too_large_comes_before_all_that_is_wrong_behind_it(end: str) -> None:
    body = f'{{"configurations": {{"eu": {{"config": {{"a": "{LARGE}{end}'
    assert too_large(body) == [("body", "configurations", "eu")]


@pytest.mark.parametrize("at", [10, 250, 300, 65_530, 65_540, LIMIT - 50])
def test_what_is_malformed_within_the_limit_is_told_by_line_and_column(at: int) -> None:
    start = f'{{"configurations":\n{{"eu": {{"config": {{"a": "{"b" * at}"'
    [(where, said)] = faults(f'{start} oops, "c": "{LARGE}"}}}}}}}}')
    assert where == ()
    column = len(start) - start.index("\n") + 1
    assert said == f"The body is not a JSON object: look at line 2, column {column}"


@pytest.mark.parametrize("window", documents.WINDOWS)
@pytest.mark.parametrize(
    "token",
    [
        *("12345678901234567890", "-1.25e-10", "1E+20", "true", "null", "[]", '{"x": {}}', '""'),
        *('"\\ud83d\\ude00"', '"\\\\"', '"\\""', '"\\n"', '"é"', '"a,b"'),
    ],
)
def test_a_value_is_read_whole_wherever_a_window_ends(token: str, window: int) -> None:
    for before in range(window - len(token) - 24, window + 2):
        start, rest = '{"a": "', f'", "b": {token}, "c": [{token}]}}'
        text = start + "x" * (before - len(start)) + rest
        given = read(content(eu=text, us=token) + PADDING)["configurations"]
        assert given["eu"]["config"].text == text
        if not isinstance(given["us"]["config"], ObjectText):
            assert given["us"]["config"] == json.loads(token)


def test_a_number_is_no_shorter_one_where_a_window_ends() -> None:
    for digits in range(250, 290):
        given = read(content(eu="1" + "0" * digits) + PADDING)["configurations"]
        assert given["eu"]["config"] == 10**digits


def test_an_object_above_the_documents_has_so_many_members_and_no_more() -> None:
    numbers = range(200)
    items = {f"c{number}": "{}" for number in numbers}
    assert len(read(content(**items))["configurations"]) == 200
    assert too_large(content(**items, more="{}")) == [("body", "configurations")]
    members = ", ".join(f'"m{number}": 1' for number in range(5))
    item = f'{{"configurations": {{"eu": {{{members}%s}}}}}}'
    assert len(read(item % "")["configurations"]["eu"]) == 5
    assert too_large(item % ', "more": 1') == [("body", "configurations", "eu")]
    assert too_large(f'{{{members}, "more": 1}}') == [("body",)]
    unstorable = (item % ', "more": 1').replace("eu", "\\u0000")
    assert too_large(unstorable) == [("body", "configurations")]


def test_a_document_may_have_any_number_of_members() -> None:
    text = json.dumps({f"a{number}": 1 for number in range(1000)})
    assert read(content(eu=text))["configurations"]["eu"]["config"].text == text
