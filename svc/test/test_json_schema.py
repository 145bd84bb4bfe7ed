"""JSON Schema in the database: each keyword, what is refused, and what a check may cost."""

import json
from typing import Any

import psycopg2
import pytest

from conftest import Tables

type Fault = tuple[str, str]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Checker:
    """The three functions of the database; what is no string goes as JSON."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def schema_faults(self, schema: Any) -> list[Fault]:
        """What is wrong with a schema."""
        rows = self._tables.rows("select * from schema_faults(%s)", text(schema))
        return [(pointer, detail) for pointer, detail in rows]

    def faults(self, schema: Any, document: Any) -> list[Fault]:
        """What is wrong with a document, under a schema that has no faults."""
        assert self.schema_faults(schema) == []
        rows = self._tables.rows(
            "select * from document_faults(prepared_schema(%s), %s)", text(schema), text(document)
        )
        return [(pointer, detail) for pointer, detail in rows]


def text(value: Any) -> str:
    """JSON: as it is where it is given as text, for numbers that Python would round."""
    return value if isinstance(value, str) else json.dumps(value)


@pytest.fixture
def checker(tables: Tables) -> Checker:
    """The tests' own database."""
    return Checker(tables)


ANY = ""  # whatever is told

# For each: a schema, documents that fit, and documents that do not with the fault that is told.
KEYWORDS: list[tuple[Any, list[Any], list[tuple[Any, str, str]]]] = [
    (True, [1, None, {}], []),
    ({}, [1, None, {}], []),
    (False, [], [(1, "", "is not allowed"), ({}, "", "is not allowed")]),
    ({"type": "string"}, ['"1"'], [(1, "", "must be a string"), (None, "", "must be a string")]),
    ({"type": "integer"}, ["1", "1.0", "1e2", "1e300"], [("1.5", "", "must be an integer")]),
    ({"type": "number"}, ["1", "1.5"], [(True, "", "must be a number")]),
    (
        {"type": ["object", "array", "boolean", "null"]},
        [{}, [], False, None],
        [(1, "", "must be an object or an array or a boolean or null")],
    ),
    (
        {"enum": ['"a"', 1, [1, {"a": 2}], None]},
        ['"\\"a\\""', "1.0", '[1.0, {"a": 2}]', None],
        [('"a"', "", r'must be one of ["\"a\"", 1, [1, {"a": 2}], null]'), ([[1]], "", ANY)],
    ),
    ({"enum": [False]}, [False], [(0, "", "must be one of [false]")]),
    ({"enum": []}, [], [(0, "", "must be one of []")]),
    ({"const": 1}, ["1", "1.0"], [(True, "", "must be 1"), ("1.01", "", "must be 1")]),
    ({"const": None}, [None], [(0, "", "must be null")]),
    ({"const": {"a": [1]}}, ['{"a": [1.0]}'], [({"a": [1], "b": 1}, "", 'must be {"a": [1]}')]),
    ({"minimum": 1.5}, ["1.5", '"a"'], [("1.49999999999999999999", "", "must be at least 1.5")]),
    ({"exclusiveMinimum": 1}, ["1.00000000000000000001"], [("1.0", "", "must be more than 1")]),
    ({"maximum": 0.1}, ["0.1", "null"], [("0.10000000000000000001", "", "must be at most 0.1")]),
    ({"exclusiveMaximum": 1}, ["0.99999999999999999999"], [("1", "", "must be less than 1")]),
    (
        {"multipleOf": 0.01},
        ["19.99", "0", "1e300", '"a"'],
        [("0.015", "", "must be a multiple of 0.01"), ("1e-300", "", "must be a multiple of 0.01")],
    ),
    ({"minLength": 2}, ['"ab"', "1"], [('"\U0001f600"', "", "its length must be at least 2")]),
    ({"maxLength": 1.0}, ['"\U0001f600"'], [('"ab"', "", "its length must be at most 1")]),
    ('{"maxLength": 1e400}', ['"ab"'], []),
    ({"pattern": "b+$"}, ['"ab"', "1"], [('"ba"', "", "must match the pattern b+$")]),
    ({"minItems": 1}, [[0], {}], [([], "", "its number of items must be at least 1")]),
    ({"maxItems": 1}, [[0], {}], [([0, 0], "", "its number of items must be at most 1")]),
    (
        {"uniqueItems": True},
        [[1, True, "1", [1], {"a": 1}, {"a": 2}], {}],
        [("[1, 1.0]", "", "its items must differ from each other"), ([[{}], [{}]], "", ANY)],
    ),
    ({"uniqueItems": False}, [[1, 1]], []),
    (
        {"prefixItems": [{"type": "string"}, True], "items": {"type": "null"}},
        [["a", 1, None], ["a"], [], {}],
        [([1], "/0", "must be a string"), (["a", 1, None, 2], "/3", "must be null")],
    ),
    ({"items": False}, [[]], [([1], "/0", "is not allowed")]),
    (
        {"contains": {"const": 1}},
        [[0, 1], {}],
        [([], "", 'its number of items that fit "contains" must be at least 1')],
    ),
    (
        {"contains": {"const": 1}, "minContains": 2, "maxContains": 3},
        [[1, 1, 0], [1, 1, 1]],
        [
            ([1], "", 'its number of items that fit "contains" must be at least 2 and at most 3'),
            ([1, 1, 1, 1], "", ANY),
        ],
    ),
    ({"contains": False, "minContains": 0}, [[], [1]], []),
    ({"minContains": 2, "maxContains": 0}, [[1]], []),
    (
        {"properties": {"a/b": {"type": "string"}, "~": {}, "no": False}},
        [{"a/b": "x", "~": 1, "other": 1}, []],
        [({"a/b": 1}, "/a~1b", "must be a string"), ({"no": 1}, "/no", "is not allowed")],
    ),
    (
        {"patternProperties": {"^a": {"type": "string"}, "b$": {"minLength": 1}}},
        [{"a": "", "b": "b", "c": 1, "ab": "x"}],
        [({"a1": 1}, "/a1", "must be a string"), ({"ab": ""}, "/ab", ANY)],
    ),
    (
        {"properties": {"a": {}}, "patternProperties": {"^x-": {}}, "additionalProperties": False},
        [{"a": 1, "x-b": 2}],
        [({"a": 1, "b": 1}, "/b", "is not allowed")],
    ),
    ({"additionalProperties": {"type": "null"}}, [{"a": None}], [({"a": 1}, "/a", ANY)]),
    (
        {"propertyNames": {"maxLength": 1}},
        [{"a": 1}],
        [({"ab": 1}, "", 'the names of its members must fit "propertyNames"')],
    ),
    (
        {"required": ["a", 'b,"c']},
        [{"a": 1, 'b,"c': None}, []],
        [({"a": 1}, "", 'must have "b,\\"c"'), ({}, "", 'must have "a", "b,\\"c"')],
    ),
    (
        {"dependentRequired": {"a": ["b"], "c": []}},
        [{}, {"b": 1}, {"a": 1, "b": 2}, {"c": 1}],
        [({"a": 1}, "", 'must have "b", because of what else it has')],
    ),
    (
        {"dependentSchemas": {"a": {"required": ["b"]}}},
        [{}, {"a": 1, "b": 1}, ["a"], '"a"'],
        [({"a": 1}, "", 'must have "b"')],
    ),
    ({"minProperties": 1}, [{"a": 1}, []], [({}, "", "its number of members must be at least 1")]),
    (
        {"maxProperties": 1},
        [{"a": 1}, []],
        [({"a": 1, "b": 1}, "", "its number of members must be at most 1")],
    ),
    (
        {"allOf": [{"type": "number"}, {"minimum": 1}, True]},
        [1],
        [(0, "", "must be at least 1"), ('"a"', "", "must be a number")],
    ),
    (
        {"anyOf": [{"type": "string"}, {"minimum": 1}]},
        [1, '"a"', None],
        [(0, "", 'must fit at least one schema of "anyOf"')],
    ),
    (
        {"oneOf": [{"type": "integer"}, {"minimum": 1}]},
        [0, "1.5", '"a"'],
        [(1, "", 'must fit exactly one schema of "oneOf"'), ("0.5", "", ANY)],
    ),
    ({"not": {"type": "string"}}, [1], [('"a"', "", 'must not fit the schema of "not"')]),
    ({"not": False}, [1], []),
    (
        {"if": {"minimum": 10}, "then": {"multipleOf": 10}, "else": {"multipleOf": 2}},
        [20, 8],
        [(15, "", "must be a multiple of 10"), (5, "", "must be a multiple of 2")],
    ),
    ({"if": False}, [1], []),
    ({"then": False, "else": False}, [1], []),
    (
        {
            "$defs": {"a/b %": {"type": "string"}, "via": {"$ref": "#/$defs/a~1b%20%25"}},
            "items": {"$ref": "#/$defs/via", "minLength": 1},
        },
        [["a"]],
        [([1], "/0", "must be a string"), ([""], "/0", "its length must be at least 1")],
    ),
    (
        {"properties": {"next": {"$ref": "#"}, "value": {"type": "string"}}},
        [{"next": {"next": {"value": "a"}}}],
        [({"next": {"next": {"value": 1}}}, "/next/next/value", "must be a string")],
    ),
    ({"$ref": "#/$defs/all", "$defs": {"all": True}}, [1], []),
    (
        {
            **{"$schema": DIALECT, "$comment": "c", "title": "t", "description": "d"},
            **{"default": 1, "examples": [1], "deprecated": True, "readOnly": True},
            **{"writeOnly": True, "format": "ipv4", "contentEncoding": "base64"},
            **{"contentMediaType": "application/json", "contentSchema": {"type": "null"}},
        },
        ['"a"', 1],
        [],
    ),
]


@pytest.mark.parametrize(("schema", "fitting", "others"), KEYWORDS)
def test_a_keyword_means_what_the_standard_says(
    checker: Checker, schema: Any, fitting: list[Any], others: list[tuple[Any, str, str]]
) -> None:
    for document in fitting:
        assert checker.faults(schema, document) == []
    for document, pointer, detail in others:
        [told] = checker.faults(schema, document)
        assert told[0] == pointer
        assert told[1] == (detail or told[1])


# Patterns, strings that they match, and strings that they do not.
PATTERNS = [
    ("", ["", "a"], []),
    ("^abc$", ["abc"], ["abc\n", "xabc", "ABC"]),
    ("a.c", ["abc", "a\U0001f600c"], ["a\nc", "a\rc", "a\u2028c"]),
    (r"^\d+\D$", ["12a"], ["\u0663a", "1"]),
    (r"^\w+\W$", ["aZ_9-"], ["\u00e9-"]),
    (r"^\s\S$", [" a", "\ufeffa", "\u00a0a", "\x0ba"], ["aa", "\u200ba"]),
    (r"\bfoo\b", ["a foo b", "foo"], ["food", "_foo"]),
    (r"^\B$", [""], ["a"]),
    (r"^[\b]$", ["\b"], ["b"]),
    (r"^(?:a|bc){2,3}?$", ["abc", "aaa"], ["a", "aaaa"]),
    (r"^(a(b)?)+?$", ["aab"], ["b"]),
    (r"^(|a)$", ["", "a"], ["b"]),
    (r"^[^]$", ["a", "\n"], ["", "ab"]),
    (r"[]", [], ["", "a"]),
    (r"^[a\-z]$", ["-", "z"], ["b"]),
    (r"^[-a]$", ["-", "a"], ["b"]),
    (r"^[\w.-]+$", ["a-b.c"], ["a b"]),
    (r"^[\D]$", ["a"], ["1"]),
    (r"^[^\s\S]$", [], ["a", " "]),
    (r"^[\u0000-\u001f]$", ["\x01", "\x1f"], [" "]),
    (r"^[\u{1F600}-\u{1F64F}]$", ["\U0001f600"], ["\U0001f680"]),
    (r"^\ud83d\ude00$", ["\U0001f600"], ["\U0001f601"]),
    (r"^\x41\u0042\u{43}\cI\0?$", ["ABC\t"], ["ABCI"]),
    (r"^\^\$\.\*\+\?\(\)\[\]\{\}\|\/\\\-$", [r"^$.*+?()[]{}|/\-"], [""]),
    (r"^\t\n\v\f\r$", ["\t\n\x0b\f\r"], ["tnvfr"]),
    (r"^a{0}$", [""], ["a"]),
    ("\u00e9", ["\u00e9"], ["e", "\u00c9"]),
]


@pytest.mark.parametrize(("pattern", "matching", "others"), PATTERNS)
def test_a_pattern_means_what_ecma_262_says(
    checker: Checker, pattern: str, matching: list[str], others: list[str]
) -> None:
    for string in matching:
        assert checker.faults({"pattern": pattern}, json.dumps(string)) == []
    for string in others:
        assert len(checker.faults({"pattern": pattern}, json.dumps(string))) == 1


UNTRANSLATABLE = [
    *["(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"(a)\1", "(?<n>a)", r"\k<n>", r"\p{L}", r"\P{L}"],
    *["(?i)a", "***=a", r"\A", r"\Z", r"\y", r"\m", r"\a", r"\e", r"\u{110000}", r"\u12", r"\x1"],
    *["(", ")", "(a", "a)", "[", "[a", "]", "{", "}", "a{", "a{,1}", "a{2,1}", "a{x}", "\\"],
    *[
        "[[:alpha:]]",
        "*",
        "a**",
        "a*??",
        "+a",
        "^*",
        r"\b+",
        "(*a)",
        "|*",
        "[b-a]",
        r"[\w-a]",
        r"[a-\d]",
        r"\01",
    ],
    *["a{256}", "a{1,256}", "(?:a{1,255}){1,255}", "((a{40}){40}){40}", "a" * 1001, "(" * 70000],
]


@pytest.mark.parametrize("pattern", UNTRANSLATABLE, ids=lambda pattern: pattern[:20])
def test_a_pattern_that_cannot_be_translated_is_refused(checker: Checker, pattern: str) -> None:
    [[pointer, detail]] = checker.schema_faults({"items": {"pattern": pattern}})
    assert pointer == "/items/pattern"
    assert detail.startswith("must be a regular expression of ECMA-262, without look-around")
    [[pointer, detail]] = checker.schema_faults({"patternProperties": {pattern: True}})
    assert pointer == "/patternProperties/" + pattern.replace("~", "~0").replace("/", "~1")


def test_the_largest_pattern_is_taken(checker: Checker) -> None:
    largest = "^" + "(?:[a-c]{3}){41}" * 6 + "$"
    assert checker.faults({"pattern": largest}, json.dumps("a" * 738)) == []
    assert len(checker.faults({"pattern": largest}, json.dumps("a" * 737))) == 1


def each(*values: Any) -> list[Any]:
    """Values of different types."""
    return [*values]


NOT_SUPPORTED = "is not a keyword that is supported"
A_REFERENCE = 'must be "#", or "#/" and a pointer into this schema that leads to a schema'
COUNT = "must be a whole number from 0 on"

# A schema, and the fault that is told of it.
REFUSED: list[tuple[Any, str, str]] = [
    *[(schema, "", "must be an object or a boolean") for schema in each(1, None, [], '"a"')],
    ({"items": [{}]}, "/items", "must be an object or a boolean"),
    ({"properties": {"a/b": 1}}, "/properties/a~1b", "must be an object or a boolean"),
    *[
        ({"$defs": {"a": {keyword: value}}}, f"/$defs/a/{keyword}", NOT_SUPPORTED)
        for keyword, value in {
            **{"unevaluatedItems": False, "unevaluatedProperties": False},
            **{"$dynamicRef": "#a", "$dynamicAnchor": "a", "$id": "a", "$anchor": "a"},
            **{"$vocabulary": {}, "$recursiveRef": "#", "definitions": {}, "dependencies": {}},
            **{"additionalItems": False, "maxLenght": 1, "id": "a"},
        }.items()
    ],
    (
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        *("/$schema", f'must be "{DIALECT}"'),
    ),
    *[
        ({"$ref": reference, "properties": {"a": {"enum": [{}]}}}, "/$ref", A_REFERENCE)
        for reference in [
            *["other.json", "#a", "https://example.com/a#/b", "", "#/$defs/a", "#/properties"],
            *[
                "#/properties/a/enum/0",
                "#/properties/a/",
                "#/%ff",
                "#/%zz",
                "#/%00",
                "properties/a",
                "#/properties/a%",
            ],
        ]
    ],
    ({"$ref": 1}, "/$ref", A_REFERENCE),
    ({"type": "text"}, "/type", "must be a type, or an array of different types that is not empty"),
    *[({"type": value}, "/type", ANY) for value in each([], ["null", "null"], [["null"]], 1, {})],
    *[({keyword: {}}, f"/{keyword}", "must be an array") for keyword in ("enum", "examples")],
    *[
        ({keyword: value}, f"/{keyword}", COUNT)
        for keyword in [
            *["minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains"],
            *["minProperties", "maxProperties"],
        ]
        for value in each(-1, 1.5, "1", None)
    ],
    *[
        ({keyword: None}, f"/{keyword}", "must be a number")
        for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    ],
    *[({"multipleOf": value}, "/multipleOf", "must be a number above 0") for value in (0, -1, "x")],
    *[
        ({keyword: 1}, f"/{keyword}", "must be true or false")
        for keyword in ("uniqueItems", "deprecated", "readOnly", "writeOnly")
    ],
    *[
        ({keyword: 1}, f"/{keyword}", "must be a string")
        for keyword in [
            *["$comment", "title", "description", "format", "contentEncoding", "contentMediaType"]
        ]
    ],
    *[
        ({keyword: value}, f"/{keyword}", "must be an array of schemas that is not empty")
        for keyword in ("allOf", "anyOf", "oneOf", "prefixItems")
        for value in each([], {})
    ],
    *[
        ({keyword: []}, f"/{keyword}", "must be an object")
        for keyword in ("$defs", "properties", "patternProperties", "dependentSchemas")
    ],
    *[
        ({"required": value}, "/required", "must be an array of different strings")
        for value in each("x", [1], ["a", "a"], [["a"]])
    ],
    *[
        ({"dependentRequired": value}, "/dependentRequired", ANY)
        for value in each([], {"a": "b"}, {"a": [1]})
    ],
    *[
        ({keyword: 1}, f"/{keyword}", "must be an object or a boolean")
        for keyword in [
            *["not", "if", "then", "else", "items", "contains", "additionalProperties"],
            *["propertyNames", "contentSchema"],
        ]
    ],
]


@pytest.mark.parametrize(("schema", "pointer", "detail"), REFUSED)
def test_what_is_not_supported_or_no_schema_is_refused(
    checker: Checker, schema: Any, pointer: str, detail: str
) -> None:
    [told] = checker.schema_faults(schema)
    assert told == (pointer, detail or told[1])


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"not": {"$ref": "#"}},
        {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#"}},
        },
        {"dependentSchemas": {"a": {"if": {"$ref": "#"}}}},
        {"properties": {"a": {"anyOf": [{"oneOf": [{"$ref": "#/properties/a"}]}]}}},
    ],
)
def test_a_schema_that_would_look_at_one_value_for_ever_is_refused(
    checker: Checker, schema: Any
) -> None:
    told = checker.schema_faults(schema)
    assert told
    assert all(detail.endswith("or leads back to itself") for _, detail in told)


def test_a_schema_that_is_nested_too_deep_is_refused(checker: Checker) -> None:
    assert checker.schema_faults('{"items":' * 63 + "{}" + "}" * 63) == []
    told = ("/items" * 64, "is nested deeper than 64 schemas")
    assert checker.schema_faults('{"items":' * 64 + "{}" + "}" * 64) == [told]
    assert checker.schema_faults('{"items":' * 6000 + "{}" + "}" * 6000) == [told]


def test_no_more_than_twenty_faults_are_told(checker: Checker) -> None:
    assert len(checker.schema_faults({f"unknown{i}": 1 for i in range(30)})) == 20
    assert len(checker.faults({"items": False}, [1] * 30)) == 20
    assert len(checker.faults({"items": {"items": False}}, [[1] * 10] * 10)) == 20


def test_all_that_is_wrong_is_told_at_its_place(checker: Checker) -> None:
    schema = {
        "type": "object",
        "required": ["host", "port"],
        "properties": {
            "port": {"type": "integer", "maximum": 65535},
            "hosts": {"type": "array", "items": {"$ref": "#/$defs/host"}, "minItems": 3},
        },
        "$defs": {
            "host": {"allOf": [{"type": "string"}, {"minLength": 1}, {"pattern": "^[a-z]*$"}]}
        },
    }
    document = {"port": "canary", "hosts": ["", "canary 2"]}
    assert checker.faults(schema, document) == [
        ("", 'must have "host"'),
        ("/port", "must be an integer"),
        ("/hosts", "its number of items must be at least 3"),
        ("/hosts/0", "its length must be at least 1"),
        ("/hosts/1", "must match the pattern ^[a-z]*$"),
    ]


def test_a_fault_is_told_once(checker: Checker) -> None:
    schema = {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": False}}
    assert checker.faults(schema, 1) == [("", "is not allowed")]


def test_what_a_schema_wants_is_cut_where_it_is_long(checker: Checker) -> None:
    [(_, detail)] = checker.faults({"enum": [f"value {number}" for number in range(1000)]}, 1)
    assert len(detail) < 250
    assert detail.endswith("…")


def test_a_schema_for_documents_of_any_depth_that_the_service_takes(checker: Checker) -> None:
    tree = {
        "anyOf": [
            {"type": ["string", "null"]},
            {"type": "array", "items": {"$ref": "#"}},
            {"type": "object", "additionalProperties": {"$ref": "#"}},
        ]
    }
    for opening, closing in ("[", "]"), ('{"a":', "}"):
        assert checker.faults(tree, opening * 64 + "null" + closing * 64) == []
        assert len(checker.faults(tree, opening * 64 + "1" + closing * 64)) == 1


def doubled(times: int) -> dict[str, Any]:
    """A schema that looks at a value 2 to the power of `times`."""
    named: dict[str, Any] = {
        f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(times)
    }
    named[f"d{times}"] = {"not": {"type": "string"}}
    return {"items": {"$ref": "#/$defs/d0"}, "$defs": named}


# A schema, and a document of at most 1 MiB, that would be at work for minutes and more.
COSTLY: dict[str, tuple[Any, Any]] = {
    "64 KiB of anyOf": (
        {
            "items": {
                "anyOf": [*[{"const": f"a{number}"} for number in range(3000)], {"minimum": 0}]
            }
        },
        [1] * 500_000,
    ),
    "references that double": (doubled(14), [1] * 100),
    "a recursion that doubles": (
        {"items": {"$ref": "#"}, "contains": {"$ref": "#"}, "minContains": 0},
        "[" * 60 + "]" * 60,
    ),
    "uniqueItems again and again": (
        {"allOf": [{"uniqueItems": True}] * 3000},
        list(range(150_000)),
    ),
    "plain types again and again": (
        {"allOf": [{"items": {"type": "number"}}] * 2000},
        [1] * 400_000,
    ),
    "an expression with thousands of states": (
        {"pattern": "(a|b)*a(a|b){200}c"},
        json.dumps("abbab" * 200_000),
    ),
    "many patterns of members": (
        {"patternProperties": {f"^{number}": True for number in range(300)}},
        {f"a{number}": 1 for number in range(60_000)},
    ),
    "many names that must be there": (
        {"items": {"not": {"required": [f"name{number}" for number in range(5000)]}}},
        [{}] * 300_000,
    ),
    "a division of long numbers": (
        '{"items": {"not": {"multipleOf": 0.' + "3" * 16000 + "}}}",
        "[" + ",".join(["7" * 60_000] * 17) + "]",
    ),
}


@pytest.mark.parametrize(("schema", "document"), COSTLY.values(), ids=COSTLY.keys())
def test_a_check_that_takes_too_long_ends_by_itself(
    checker: Checker, schema: Any, document: Any
) -> None:
    with pytest.raises(psycopg2.DatabaseError) as raised:
        checker.faults(schema, document)
    assert raised.value.pgcode == "CS100"
    assert raised.value.diag.message_primary == "the check takes too long"
    assert len(raised.value.diag.context or "") < 200, "the log would be full of it"


OBJECTS, ARRAYS = '{"a":' * 1000 + "1" + "}" * 1000, "[" * 1000 + "]" * 1000


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ({"items": {"$ref": "#"}}, ARRAYS),
        ({"contains": {"$ref": "#"}, "minContains": 0}, ARRAYS),
        ({"additionalProperties": {"$ref": "#"}}, OBJECTS),
        ({"patternProperties": {"a": {"$ref": "#"}}}, OBJECTS),
        ({"anyOf": [{"additionalProperties": {"$ref": "#"}}]}, OBJECTS),
        ({"dependentSchemas": {"a": {"properties": {"a": {"$ref": "#"}}}}}, OBJECTS),
        ({"not": {"not": {"if": {"items": {"$ref": "#"}}, "else": False}}}, ARRAYS),
    ],
)
def test_a_document_that_is_too_deep_ends_a_check(
    checker: Checker, schema: Any, document: str
) -> None:
    with pytest.raises(psycopg2.DatabaseError) as raised:
        checker.faults(schema, document)
    assert raised.value.pgcode == "CS100"


def test_where_it_takes_too_long_to_find_the_faults_a_place_is_told(checker: Checker) -> None:
    # Each level is held against the schema again, with all that is in it.
    schema = {"items": {"$ref": "#"}, "type": ["array", "integer"], "maximum": 1}
    document = "[" * 30 + ",".join(["1"] * 200_000) + ",2" + "]" * 30
    [(pointer, detail)] = checker.faults(schema, document)
    assert (pointer.strip("/0"), detail) == ("", "must fit the schema")


def test_the_service_bears_a_document_of_a_mebibyte(checker: Checker) -> None:
    listener = {
        "type": "object",
        "required": ["host", "port"],
        "properties": {
            "host": {"type": "string", "pattern": r"^[a-z0-9.-]+$"},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "level": {"enum": ["debug", "info"]},
        },
        "additionalProperties": False,
    }
    document = [{"host": "one.example.com", "port": 80, "level": "info"}] * 18_000
    assert len(json.dumps(document)) > 1_000_000
    assert checker.faults({"items": listener}, document) == []


def test_the_functions_need_no_search_path(checker: Checker, tables: Tables) -> None:
    tables.rows("begin; set local search_path to ''")
    rows = tables.rows(
        "select detail from public.schema_faults('true') union all"
        " select detail from public.document_faults(public.prepared_schema('false'), '1')"
    )
    tables.rows("commit")
    assert rows == [("is not allowed",)]


def test_a_schema_of_many_patterns_is_checked_like_others(checker: Checker) -> None:
    schema = {"properties": {f"p{number}": {"pattern": f"^{number}$"} for number in range(40)}}
    assert checker.faults(schema, {f"p{number}": str(number) for number in range(40)}) == []
    assert len(checker.faults(schema, {f"p{number}": "x" for number in range(10)})) == 10
