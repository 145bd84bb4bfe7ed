"""The OpenAPI document tells people and client generators all that they need, of every slice."""

from collections.abc import Iterator
from typing import Any

import main

DOCUMENT: dict[str, Any] = main.app.openapi()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = [one for path in DOCUMENT["paths"].values() for one in path.values()]


def schemas_in(part: Any) -> Iterator[dict[str, Any]]:
    """All schemas and other objects within a part of the document."""
    if isinstance(part, dict):
        yield part
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else []:
        yield from schemas_in(one)


def parameters() -> Iterator[tuple[str, dict[str, Any]]]:
    for operation in OPERATIONS:
        for parameter in operation.get("parameters", []):
            yield f"{operation['operationId']}: {parameter['name']}", parameter


def test_every_area_says_what_it_is() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    assert {tag for operation in OPERATIONS for tag in operation["tags"]} == described


def test_every_operation_says_what_it_does_and_every_model_what_it_is() -> None:
    assert [one["operationId"] for one in OPERATIONS if not one.get("description")] == []
    assert [name for name, schema in SCHEMAS.items() if not schema.get("description")] == []


def test_every_parameter_has_a_description_and_an_example() -> None:
    for where, parameter in parameters():
        assert parameter["description"], where
        assert parameter["schema"]["examples"], where


def test_an_example_of_an_application_s_name_is_none_of_a_configuration_s() -> None:
    examples = {where: one["schema"]["examples"] for where, one in parameters()}
    assert examples["list_applications: name"] == ["billing"]
    assert examples["list_configurations: name"] == ["production"]
    made = {name: SCHEMAS[f"Create{name}Request"] for name in ("Application", "Configuration")}
    assert made["Application"]["properties"]["name"]["examples"] == ["billing"]
    assert made["Configuration"]["properties"]["name"]["examples"] == ["production"]


def test_a_parameter_that_may_be_left_out_is_not_null() -> None:
    assert [where for where, one in parameters() if "'null'" in str(one["schema"])] == []


def test_entity_tags_are_one_string_with_a_pattern() -> None:
    headers = {one["name"]: one["schema"] for _, one in parameters() if one["in"] == "header"}
    assert headers["if-match"] == headers["if-none-match"] | {"title": "If-Match"}
    assert headers["if-match"]["type"] == "string"
    assert headers["if-match"]["pattern"].startswith(r"^(\*|")


def test_no_schema_contains_itself() -> None:
    def reached(name: str) -> Iterator[str]:
        for part in schemas_in(SCHEMAS[name]):
            if "$ref" in part:
                inner = part["$ref"].rpartition("/")[2]
                assert inner != name
                yield from [inner, *reached(inner)]

    for name in SCHEMAS:
        assert name not in reached(name)


def test_a_document_is_an_open_object() -> None:
    document = SCHEMAS["ConfigObject"]
    assert (document["type"], document["additionalProperties"]) == ("object", True)
    assert document["examples"]


def test_an_answer_that_explains_has_a_model_of_its_own() -> None:
    config = DOCUMENT["paths"]["/api/v1/config"]["get"]["responses"]["200"]
    schema = config["content"]["application/json"]["schema"]
    assert (schema["type"], schema["additionalProperties"]) == ("object", True)
    assert schema["if"] == {"$ref": "#/components/schemas/ExplainedConfigResponse"}
    assert {"anyOf", "then", "else"} & set(schema) == set()
    assert set(SCHEMAS["ExplainedConfigResponse"]["required"]) == {"config", "origin"}


def test_numbers_that_outgrow_32_bits_say_so() -> None:
    for part in schemas_in(DOCUMENT):
        if part.get("exclusiveMaximum", 0) > 2**31:
            assert part["format"] == "int64"
