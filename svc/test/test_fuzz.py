"""Holds the service against its own OpenAPI document, with requests that schemathesis makes up."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection

from conftest import Server

SCHEMATHESIS = "schemathesis@4.32.5"

# For clients a document is an open object. Which ones are taken exactly, a schema can say as well.
LARGEST, NO_NUL = 1.7976931348623157e308, {"type": "string", "pattern": r"^[^\u0000]*$"}
VALUE = {"$ref": "#/components/schemas/ConfigValue"}
EXACTLY: dict[str, Any] = {
    "ConfigObject": {
        "type": "object",
        "propertyNames": NO_NUL,
        "additionalProperties": VALUE,
    },
    "ConfigValue": {
        "anyOf": [
            {"type": ["boolean", "null"]},
            {"const": 0},
            {"type": "number", "minimum": 1e-308, "maximum": LARGEST},
            {"type": "number", "minimum": -LARGEST, "maximum": -1e-308},
            NO_NUL,
            {"type": "array", "items": VALUE},
            {"$ref": "#/components/schemas/ConfigObject"},
        ]
    },
}
CONFIG = {
    "anyOf": [
        {"$ref": "#/components/schemas/ExplainedConfigResponse"},
        {"$ref": "#/components/schemas/ConfigObject"},
    ]
}
# Of one pattern with a `*` schemathesis makes `0`, and it does not wait for as long as the example.
ENTITY_TAGS = {
    "anyOf": [{"const": "*"}, {"type": "string", "pattern": '^(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*$'}]
}
HEADERS = {
    "if-match": ENTITY_TAGS,
    "if-none-match": ENTITY_TAGS,
    "prefer": {"type": "string", "examples": ["wait=1"]},
}


def exactly(document: dict[str, Any]) -> dict[str, Any]:
    """The document with what is only of use to who makes up requests."""
    document["components"]["schemas"] |= EXACTLY
    answer = document["paths"]["/api/v1/config"]["get"]["responses"]["200"]
    answer["content"]["application/json"]["schema"] = CONFIG
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                parameter["schema"] = HEADERS.get(parameter["name"], parameter["schema"])
    return document


@pytest.mark.fuzz
def test_no_check_of_schemathesis_fails(
    server: Server,
    db: connection,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(exactly(server.client.get("/openapi.json").json())))
    command = ["uvx", SCHEMATHESIS, "--config-file", "test/schemathesis.toml"]
    command += ["run", str(document), "--url", str(server.client.base_url)]
    command += ["--checks", "all", "--max-examples", pytestconfig.getoption("examples")]
    result = subprocess.run(command, cwd=Path(__file__).parents[1], check=False)
    assert result.returncode == 0
    assert not any("Traceback" in line for line in server.lines)
