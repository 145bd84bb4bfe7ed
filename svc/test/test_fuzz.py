"""Holds the service against its own OpenAPI document, with requests that schemathesis makes up."""

import subprocess
from pathlib import Path

import pytest
from psycopg2.extensions import connection

from conftest import Server

SCHEMATHESIS = "schemathesis@4.32.5"


@pytest.mark.fuzz
def test_no_check_of_schemathesis_fails(
    server: Server,
    db: connection,
    pytestconfig: pytest.Config,
) -> None:
    command = ["uvx", SCHEMATHESIS, "--config-file", "test/schemathesis.toml"]
    command += ["run", f"{server.client.base_url}/openapi.json"]
    command += ["--checks", "all", "--max-examples", pytestconfig.getoption("examples")]
    result = subprocess.run(command, cwd=Path(__file__).parents[1], check=False)
    assert result.returncode == 0
    assert not any("Traceback" in line for line in server.lines)
