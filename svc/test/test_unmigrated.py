"""A database that lacks migrations: every operation is a 503 that says so."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from conftest import Server

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
PATHS = {"{id}": ID, "{revision}": "1"}
QUERIES = {
    "get_config": {"application": "billing", "name": "production"},
    "diff_revisions": {"from": "1", "to": "2"},
}
BODIES: dict[str, dict[str, Any]] = {
    "create_application": {"name": "billing"},
    "replace_application": {"name": "billing"},
    "create_configuration": {"application_id": ID, "name": "production"},
    "replace_configuration": {"name": "production", "config": {}},
    "patch_configuration": {"config": {"a": 1}},
    "rollback_configuration": {"revision": 1},
    "patch_content": {"configurations": {}},
    "replace_content": {"configurations": {}},
    "rollback_content": {"sequence": 0},
    "create_check": {"application_id": ID, "schema_id": ID, "layers": ["a"]},
    "replace_check": {"schema_id": ID, "layers": ["a"]},
}


@pytest.fixture
def unmigrated(dsn: str) -> Iterator[str]:
    """A database without a table."""
    with closing(psycopg2.connect(dsn)) as maintenance, maintenance.cursor() as cursor:
        maintenance.autocommit = True
        name = f"{maintenance.info.dbname}_unmigrated"
        cursor.execute(f'drop database if exists "{name}" with (force)')
        cursor.execute(f'create database "{name}"')
        yield make_dsn(dsn, dbname=name)
        cursor.execute(f'drop database "{name}" with (force)')


def test_each_operation_says_that_the_database_is_not_migrated(unmigrated: str) -> None:
    running = Server(DATABASE_URL=unmigrated).start()
    answers = {}
    for path, operations in running.client.get("/openapi.json").json()["paths"].items():
        for given, value in PATHS.items():
            path = path.replace(given, value)  # noqa: PLW2901
        for method, operation in operations.items():
            name = operation["operationId"]
            content = operation.get("requestBody", {}).get("content", {})
            answers[name] = running.client.request(
                method,
                path,
                params=QUERIES.get(name),
                json=BODIES.get(name),
                headers=[("Content-Type", kind) for kind in content],
            )
    running.stop()
    assert answers.pop("get_health").status_code == 200
    assert len(answers) >= 18
    for name, answer in answers.items():
        assert (name, answer.status_code) == (name, 503)
        assert "migrat" in answer.json()["detail"]
        assert "retry-after" in answer.headers
    assert not any("unexpected" in line for line in running.lines)
