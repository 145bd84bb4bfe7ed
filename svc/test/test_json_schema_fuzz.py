"""Holds the validator of the database against the `jsonschema` library, with random schemas and
documents: 100 pairs for each of EXAMPLES, the same in every run."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection

JSONSCHEMA = "jsonschema==4.26.0"
DOCUMENTS_OF_A_SCHEMA = 10

# Prints for each schema and its documents which of them are valid. The library knows a decimal
# number as an integer only where it is an int.
LIBRARY = """
import decimal, json, sys
from jsonschema import Draft202012Validator

def number(text):
    value = decimal.Decimal(text)
    return int(value) if value == value.to_integral_value() else value

for line in sys.stdin:
    schema, documents = json.loads(line, parse_float=number)
    validator = Draft202012Validator(schema)
    print(json.dumps([validator.is_valid(document) for document in documents]))
"""

NAMES = ["a", "b", "ab", "x-1", "a/b~"]
STRINGS = ["", "a", "b", "ab", "b1", "x-1", "a b", "_.", "aaaa", "\U0001f600", "\t"]
NUMBERS = [-1, 0, 1, 2, 3, 10, 1.0, 1.5, 0.1, 0.3, -2.5, 1e2, 12345678901234567890]
TYPES = ["null", "boolean", "number", "integer", "string", "array", "object"]
# What Python's `re` and ECMA-262 understand alike in these strings.
ATOMS = ["a", "b", ".", "-", "[ab]", "[^a]", "[a-x0-9]", "^", "$", "(?:)", "\U0001f600"]
ATOMS += [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\b", r"\.", r"\t", r"\u0061", r"\x62"]
ATOMS += [r"[\w-]", r"[^\s.]"]


class Maker:
    """Makes schemas and documents up."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._keywords: dict[str, Callable[[int], Any]] = {
            "type": lambda _: self._some(TYPES) if self._chance(0.4) else self._pick(TYPES),
            "enum": lambda _: [self.document(2) for _ in range(self._random.randrange(5))],
            "const": lambda _: self.document(2),
            "multipleOf": lambda _: self._pick([1, 2, 0.1, 0.5, 1.5, 3]),
            "minimum": lambda _: self._pick(NUMBERS),
            "maximum": lambda _: self._pick(NUMBERS),
            "exclusiveMinimum": lambda _: self._pick(NUMBERS),
            "exclusiveMaximum": lambda _: self._pick(NUMBERS),
            "minLength": lambda _: self._random.randrange(3),
            "maxLength": lambda _: self._pick([0, 1, 2, 3, 2.0]),
            "pattern": lambda _: self._pattern(),
            "minItems": lambda _: self._random.randrange(3),
            "maxItems": lambda _: self._random.randrange(4),
            "uniqueItems": lambda _: self._chance(0.8),
            "prefixItems": self._schemas,
            "items": lambda depth: self.schema(depth, within=True),
            "contains": lambda depth: self.schema(depth, within=True),
            "minContains": lambda _: self._random.randrange(3),
            "maxContains": lambda _: self._random.randrange(3),
            "minProperties": lambda _: self._random.randrange(3),
            "maxProperties": lambda _: self._random.randrange(4),
            "required": lambda _: self._some(NAMES),
            "dependentRequired": lambda _: {name: self._some(NAMES) for name in self._some(NAMES)},
            "properties": lambda depth: self._named(self._some(NAMES), depth, within=True),
            "patternProperties": lambda depth: self._named([self._pattern()], depth, within=True),
            "additionalProperties": lambda depth: self.schema(depth, within=True),
            "propertyNames": lambda depth: self.schema(depth, within=True),
            "dependentSchemas": lambda depth: self._named(self._some(NAMES), depth, within=False),
            "allOf": self._schemas,
            "anyOf": self._schemas,
            "oneOf": self._schemas,
            "not": self.schema,
            "if": self.schema,
            "then": self.schema,
            "else": self.schema,
            "format": lambda _: "date-time",
        }

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _pick[T](self, things: list[T]) -> T:
        return self._random.choice(things)

    def _some(self, things: list[str]) -> list[str]:
        return self._random.sample(things, self._random.randint(1, 3))

    def _pattern(self) -> str:
        made = ""
        for _ in range(self._random.randint(1, 3)):
            atom = self._pick(ATOMS)
            if self._chance(0.2):
                atom = f"({atom}|{self._pick(ATOMS)})"
            if atom not in ("^", "$", r"\b") and self._chance(0.4):
                atom += self._pick(["*", "+", "?", "*?", "{2}", "{0,1}", "{1,}"])
            made += atom
        return f"^{made}$" if self._chance(0.5) else made

    def _schemas(self, depth: int) -> list[Any]:
        return [self.schema(depth) for _ in range(self._random.randint(1, 3))]

    def _named(self, names: list[str], depth: int, *, within: bool) -> dict[str, Any]:
        return {name: self.schema(depth, within=within) for name in names}

    def schema(self, depth: int, *, within: bool = False) -> Any:
        """A schema. Only one for a value within the value may be the whole schema again."""
        if depth == 0 or self._chance(0.15):
            leaves: list[Any] = [
                True,
                False,
                {},
                {"$ref": "#/$defs/one"},
                {"$ref": "#/$defs/b~1%25"},
            ]
            return self._pick([*leaves, {"$ref": "#"}, {"$ref": "#"}] if within else leaves)
        keywords = self._random.sample(list(self._keywords), self._random.randint(1, 4))
        return {keyword: self._keywords[keyword](depth - 1) for keyword in keywords}

    def whole(self) -> dict[str, Any]:
        """A schema with `$defs`, which do not refer to each other."""
        root = self.schema(3)
        named = {name: {"type": self._some(TYPES)} for name in ("one", "b/%")}
        return (root if isinstance(root, dict) else {"allOf": [root]}) | {"$defs": named}

    def document(self, depth: int) -> Any:
        """A document: from 0 to 3 values in each array and object."""
        kind = self._random.randrange(8 if depth else 4)
        if kind > 5:
            return {name: self.document(depth - 1) for name in self._some(NAMES)}
        if kind > 3:
            return [self.document(depth - 1) for _ in range(self._random.randrange(4))]
        return self._pick([self._pick(STRINGS), self._pick(NUMBERS), None, True, False])


def value_at(document: Any, pointer: str) -> Any:
    """The value that a JSON Pointer leads to."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        document = document[int(name) if isinstance(document, list) else name]
    return document


@pytest.mark.fuzz
def test_the_database_and_the_library_agree(db: connection, pytestconfig: pytest.Config) -> None:
    maker = Maker(17)
    schemas = 100 * int(pytestconfig.getoption("examples")) // DOCUMENTS_OF_A_SCHEMA
    pairs = [
        (maker.whole(), [maker.document(3) for _ in range(DOCUMENTS_OF_A_SCHEMA)])
        for _ in range(schemas)
    ]
    library = ["uv", "run", "--quiet", "--no-project", "--with", JSONSCHEMA]
    done = subprocess.run(
        [*library, "python", "-c", LIBRARY],
        input="".join(json.dumps(pair) + "\n" for pair in pairs),
        cwd=Path(__file__).parents[1],  # where make knows Python
        capture_output=True,
        text=True,
        check=True,
    )
    valid = 0
    for (schema, documents), line in zip(pairs, done.stdout.splitlines(), strict=True):
        with db.cursor() as cursor:
            cursor.execute("select * from schema_faults(%s)", (json.dumps(schema),))
            assert cursor.fetchall() == [], schema
            cursor.execute(
                "select array(select array[pointer, detail]"
                " from document_faults(prepared, document))"
                " from prepared_schema(%s) as prepared, unnest(%s::jsonb[]) as document",
                (json.dumps(schema), [json.dumps(document) for document in documents]),
            )
            answers = [faults for (faults,) in cursor]
        for document, faults, is_valid in zip(documents, answers, json.loads(line), strict=True):
            assert (faults == []) == is_valid, (schema, document, faults)
            for pointer, detail in faults:
                value_at(document, pointer)
                assert detail
            valid += is_valid
    print(f"{schemas} schemas, {schemas * DOCUMENTS_OF_A_SCHEMA} documents, {valid} of them valid")
    assert 0.2 < valid / schemas / DOCUMENTS_OF_A_SCHEMA < 0.8
