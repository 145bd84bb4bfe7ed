"""Holds the answers of a service against its own OpenAPI document: status, headers and body."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx

type Schema = dict[str, Any]

# The headers of HTTP itself, and those that forbid browsers to run what they are shown.
OF_EVERY_ANSWER = {
    *("date", "server", "connection", "transfer-encoding", "content-length", "content-type"),
    *("x-content-type-options", "content-security-policy"),
}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
# `if` without `then` and `else` decides nothing.
ANNOTATIONS = {"title", "description", "examples", "default", "if"}
FORMATS = {
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "uri-reference": r"[!-~]*",
}
TYPES: dict[str, Callable[[Any], bool]] = {
    "any": lambda _: True,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | Decimal) and not isinstance(value, bool),
    "integer": lambda value: TYPES["number"](value) and value == int(value),
}


def _is_one_of(value: Any, choices: list[Any]) -> bool:
    # In Python True equals 1, in JSON it does not.
    return any(value == one and isinstance(value, bool) is isinstance(one, bool) for one in choices)


# Which type of value a keyword is about, and whether such a value is as the keyword says.
CHECKS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "type": ("any", lambda value, name: TYPES[name](value)),
    "const": ("any", lambda value, one: _is_one_of(value, [one])),
    "enum": ("any", _is_one_of),
    "required": ("object", lambda value, names: value.keys() >= set(names)),
    "maxItems": ("array", lambda value, limit: len(value) <= limit),
    "minLength": ("string", lambda value, limit: len(value) >= limit),
    "maxLength": ("string", lambda value, limit: len(value) <= limit),
    "pattern": ("string", lambda value, pattern: bool(re.search(pattern, value))),
    "format": ("string", lambda value, name: bool(re.fullmatch(FORMATS[name], value))),
    "minimum": ("number", lambda value, limit: value >= limit),
    "maximum": ("number", lambda value, limit: value <= limit),
    "exclusiveMaximum": ("number", lambda value, limit: value < limit),
}


def hold(client: httpx.Client) -> None:
    """From now on each answer that `client` gets is held against the document of its service."""
    document = Document(client.get("/openapi.json").json())
    hooks = client.event_hooks
    client.event_hooks = hooks | {"response": [*hooks["response"], document.check]}


class Undocumented(AssertionError):
    """An answer is not as the document says."""


class Document:
    """An OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def check(self, answer: httpx.Response) -> None:
        """Raises Undocumented, and KeyError for a keyword of JSON Schema that is not known here."""
        method, path = answer.request.method, answer.request.url.path.rstrip("/")
        where = f"{method} {path}: {answer.status_code}"
        operation = self._operation("GET" if method == "HEAD" else method, path)
        if operation is not None:
            responses = operation["responses"]
            if str(answer.status_code) not in responses:
                raise Undocumented(f"{where} is not documented")
            response = responses[str(answer.status_code)]
            for fault in self._faults_of_headers(answer.headers, response.get("headers", {})):
                raise Undocumented(f"{where}: {fault}")
            content = response.get("content", {})
        elif answer.status_code >= 400:  # an unknown path, or a method that it has not
            content = PROBLEM
        else:  # a page, which the document does not describe
            return
        body = answer.read()
        if method == "HEAD" or not content:
            if body:
                raise Undocumented(f"{where} has a body")
            return
        media_type = answer.headers["content-type"].partition(";")[0]
        if media_type not in content:
            raise Undocumented(f"{where} is {media_type}")
        value = json.loads(body, parse_float=Decimal)
        for fault in self.faults(value, content[media_type]["schema"]):
            raise Undocumented(f"{where} is not as documented at {fault}")

    def faults(self, value: Any, schema: Schema, at: str = "#") -> Iterator[str]:
        """Where a value of JSON, with its fractions as Decimal, is not as the schema says."""
        for keyword, wanted in schema.items():
            match keyword:
                case "$ref":
                    yield from self.faults(value, self._referenced(wanted), at)
                case "anyOf":
                    if all(any(self.faults(value, one, at)) for one in wanted):
                        yield f"{at}: anyOf"
                case "properties" | "additionalProperties" | "propertyNames":
                    if isinstance(value, dict):
                        yield from self._members(value, keyword, schema, at)
                case "items":
                    for index, item in enumerate(value if isinstance(value, list) else []):
                        yield from self.faults(item, wanted, f"{at}/{index}")
                case _ if keyword not in ANNOTATIONS:
                    kind, is_right = CHECKS[keyword]
                    if TYPES[kind](value) and not is_right(value, wanted):
                        yield f"{at}: {keyword}"

    def _faults_of_headers(
        self, given: httpx.Headers, described: dict[str, Schema]
    ) -> Iterator[str]:
        for name in set(given) - OF_EVERY_ANSWER - {name.lower() for name in described}:
            yield f"{name} is not documented"
        for name, header in described.items():
            full = self._referenced(header["$ref"]) if "$ref" in header else header
            if name in given:
                yield from self.faults(given[name], full["schema"], name)
            elif full.get("required"):
                yield f"{name} is missing"

    def _members(
        self, value: dict[str, Any], keyword: str, schema: Schema, at: str
    ) -> Iterator[str]:
        wanted, properties = schema[keyword], schema.get("properties", {})
        for name, member in value.items():
            if keyword == "propertyNames":
                yield from self.faults(name, wanted, f"{at}/{name}")
            elif keyword == "properties" and name in properties:
                yield from self.faults(member, wanted[name], f"{at}/{name}")
            elif keyword == "additionalProperties" and name not in properties:
                if wanted is False:
                    yield f"{at}/{name}: additionalProperties"
                elif wanted is not True:
                    yield from self.faults(member, wanted, f"{at}/{name}")

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for template, operations in self._document["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
                found: dict[str, Any] | None = operations.get(method.lower())
                return found
        return None

    def _referenced(self, reference: str) -> Schema:
        found = self._document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        return found
