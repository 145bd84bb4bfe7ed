"""What holds the answers against their document sees what is wrong with them."""

import json
from typing import Any

import httpx
import pytest

from test.answers import Document, Undocumented

SCHEMA = {
    "type": "object",
    "title": "Thing",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 3},
        "kind": {"enum": ["a", "b"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9, "exclusiveMaximum": 9},
        "ratio": {"anyOf": [{"const": 0}, {"type": "number", "minimum": 0.5}, {"type": "null"}]},
        "at": {"type": "string", "format": "date-time"},
        "more": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Thing"}},
        "names": {"type": "object", "propertyNames": {"pattern": "^x"}},
        "flags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    },
    "additionalProperties": False,
}
OK = {
    "description": "It",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
    "headers": {
        "Link": {"schema": {"type": "string", "pattern": "^<"}},
        "ETag": {"$ref": "#/components/headers/ETag"},
    },
}
ETAG = {"required": True, "schema": {"type": "string"}}
DOCUMENT = Document(
    {
        "paths": {"/things/{id}": {"get": {"responses": {"200": OK, "304": {}}}}},
        "components": {
            "headers": {"ETag": ETAG},
            "schemas": {"Thing": SCHEMA, "Problem": {"required": ["title"]}},
        },
    }
)


def check(
    body: Any,
    status: int = 200,
    method: str = "GET",
    path: str = "/things/1",
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = httpx.Request(method, f"http://localhost{path}")
    given = {"ETag": '"1"'} if status == 200 and headers is None else headers or {}
    given |= {"Content-Type": media_type, "Date": "today"}
    DOCUMENT.check(httpx.Response(status, headers=given, content=content, request=request))


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"kind": "a", "count": 8, "ratio": 0, "at": "2026-01-02T03:04:05.000600Z"},
        {"ratio": 0.5, "count": 1.0},
        {"ratio": None, "more": {"x": {"id": "xy"}}, "names": {"x": 1}, "flags": [True]},
    ],
)
def test_an_answer_that_is_as_documented_passes(members: dict[str, Any]) -> None:
    check({"id": "ab", **members})
    check({"id": "ab", **members}, path="/things/1/", media_type="application/json; charset=utf-8")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ([], "#: type"),
        ({}, "#: required"),
        ({"id": 1}, "#/id: type"),
        ({"id": "A1"}, "#/id: pattern"),
        ({"id": "a"}, "#/id: minLength"),
        ({"id": "abcd"}, "#/id: maxLength"),
        ({"id": "ab", "other": 1}, "#/other: additionalProperties"),
        ({"id": "ab", "kind": "c"}, "#/kind: enum"),
        ({"id": "ab", "count": 1.5}, "#/count: type"),
        ({"id": "ab", "count": True}, "#/count: type"),
        ({"id": "ab", "count": 0}, "#/count: minimum"),
        ({"id": "ab", "count": 10}, "#/count: maximum"),
        ({"id": "ab", "count": 9}, "#/count: exclusiveMaximum"),
        ({"id": "ab", "ratio": 0.25}, "#/ratio: anyOf"),
        ({"id": "ab", "ratio": False}, "#/ratio: anyOf"),
        ({"id": "ab", "at": "2026-01-02 03:04:05"}, "#/at: format"),
        ({"id": "ab", "more": {"x": {}}}, "#/more/x: required"),
        ({"id": "ab", "names": {"y": 1}}, "#/names/y: pattern"),
        ({"id": "ab", "flags": [True, 1]}, "#/flags/1: type"),
        ({"id": "ab", "flags": [True] * 3}, "#/flags: maxItems"),
    ],
)
def test_a_body_that_is_not_as_documented_is_seen_at_its_place(body: Any, fault: str) -> None:
    with pytest.raises(Undocumented, match=f"at {fault}"):
        check(body)


def test_a_status_or_a_media_type_that_is_not_documented_is_seen() -> None:
    with pytest.raises(Undocumented, match="GET /things/1: 404 is not documented"):
        check({}, 404)
    with pytest.raises(Undocumented, match="is text/plain"):
        check({"id": "ab"}, media_type="text/plain")


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        ({}, "ETag is missing"),
        ({"ETag": "1", "X-Other": "1"}, "x-other is not documented"),
        ({"ETag": "1", "Link": "/things"}, "Link: pattern"),
    ],
)
def test_a_header_that_is_not_as_documented_is_seen(headers: dict[str, str], fault: str) -> None:
    with pytest.raises(Undocumented, match=fault):
        check({"id": "ab"}, headers=headers)


def test_a_header_that_is_documented_but_not_required_may_be_missing() -> None:
    check({"id": "ab"}, headers={"etag": "1"})
    check({"id": "ab"}, headers={"etag": "1", "link": "</things>"})


def test_a_body_where_none_is_documented_is_seen() -> None:
    check(b"", 304)
    check(b"", method="HEAD")
    with pytest.raises(Undocumented, match="has a body"):
        check({}, 304)


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("PUT", "/things/1")])
def test_an_error_of_no_operation_is_problem_details(method: str, path: str) -> None:
    check({"title": "x"}, 404, method, path, "application/problem+json")
    with pytest.raises(Undocumented):
        check({"title": "x"}, 404, method, path, "application/json")
    with pytest.raises(Undocumented):
        check({}, 404, method, path, "application/problem+json")


def test_a_page_is_not_held_against_the_document() -> None:
    check(b"<p>", path="/docs", media_type="text/html")


def test_a_keyword_that_is_not_known_fails() -> None:
    with pytest.raises(KeyError, match="uniqueItems"):
        next(DOCUMENT.faults([], {"uniqueItems": True}))
