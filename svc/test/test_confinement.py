"""No operation forgets whom it answers: a token that is confined to one application gets nothing of
another through any of them.

Whoever adds an operation adds to `tries` how to reach an application through it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from psycopg2.extensions import connection

import main
from conftest import Server, Tables
from edge.tokens import hash_of
from wire.types import new_ulid

ANYBODY, CONFINED = "anybody-secret", "confined-secret"
CANARY = "canary-of-the-other"
OPERATIONS = {
    operation["operationId"]: (method.upper(), path)
    for path, operations in main.app.openapi()["paths"].items()
    for method, operation in operations.items()
}

type Try = dict[str, Any]


class Target(NamedTuple):
    """An application that a request is aimed at, its configuration `production`, and a check."""

    application: str
    configuration: str
    check: str
    name: str


def tries(at: Target) -> dict[str, list[Try]]:
    """How to get at an application through each operation."""
    merge_patch = {"Content-Type": "application/merge-patch+json"}
    # Not without the schema: its check keeps it.
    schema: dict[str, Any] = {"schema": {"config": {}}}
    replaced = [(schema, 1), (schema | {"production": {"config": {}}}, 0)]
    by_name = {"application": at.name, "name": "production"}
    check = {"schema_id": at.configuration, "layers": ["production"]}
    return {
        "create_application": [{"json": {"name": "new"}}],
        "list_applications": [{}, {"params": {"name": at.name}}],
        "get_application": [{}],
        "replace_application": [{"json": {"name": "new"}}],
        "delete_application": [{}],
        "create_configuration": [{"json": {"application_id": at.application, "name": "new"}}],
        "list_configurations": [
            {},
            {"params": {"application_id": at.application}},
            {"params": {"name": "production"}},
        ],
        "get_configuration": [{}, {"params": {"at": 1}}],
        "replace_configuration": [{"json": {"name": "new", "config": {}}}],
        "patch_configuration": [{"content": '{"name": "new"}', "headers": merge_patch}],
        "delete_configuration": [{}],
        "list_revisions": [{}, {"params": {"path": "/a"}}],
        "get_revision": [{}],
        "diff_revisions": [{}, {"params": {"from": 1, "to": 2}}],
        "rollback_configuration": [{"json": {"revision": 1}}],
        "get_config": [
            {"params": by_name},
            {"params": by_name | {"explain": "true"}},
            {"params": by_name | {"at": 1}},
        ],
        "get_content": [{}, {"params": {"at": 1}}],
        "patch_content": [
            {"content": f'{{"configurations": {patch}}}', "headers": merge_patch}
            for patch in ("{}", '{"new": {}}', '{"production": null}')
        ],
        "replace_content": [
            {
                "json": {"configurations": items},
                "params": {"deletes": deletes},
                "headers": {"If-Match": "*"},
            }
            for items, deletes in replaced
        ],
        "rollback_content": [{"json": {"sequence": 3}, "headers": {"If-Match": "*"}}],
        "list_changes": [{}],
        "create_check": [{"json": check | {"application_id": at.application}}],
        "list_checks": [{}, {"params": {"application_id": at.application}}],
        "get_check": [{}],
        "replace_check": [{"json": check}],
        "delete_check": [{}],
        "get_health": [{}],
        "get_readiness": [{}],
    }


@pytest.fixture(scope="module")
def guard(dsn: str) -> Iterator[Server]:
    """A service with a token for everything, and one for the application `own`."""
    tokens = [f"{name}:write:{hash_of(name.encode())}" for name in (ANYBODY, CONFINED)]
    server = Server(DATABASE_URL=dsn, API_TOKENS=",".join(tokens) + ":own").start()
    yield server
    server.stop()


@pytest.fixture
def other(tables: Tables) -> Target:
    """An application that the token is not confined to, beside its own."""
    tables.configuration(tables.application("own"))
    name = f"name-{CANARY}"
    application = tables.application(name)
    configuration = tables.configuration(application, config=f'{{"title": "{CANARY}"}}')
    tables.rows(f'update configurations set config = config || \'{{"$comment": "{CANARY}"}}\'')
    tables.rows("update applications set comments = %s where id = %s", CANARY, application)
    schema, check = tables.configuration(application, "schema"), new_ulid()
    tables.rows(
        "insert into checks (id, application_id, schema_id, layers)"
        " values (%s, %s, %s, '{production}')",
        *(check, application, schema),
    )
    return Target(application, configuration, check, name)


def stored(db: connection) -> list[Any]:
    """All that is kept."""
    with db.cursor() as cursor:
        cursor.execute("select * from applications order by id")
        applications = cursor.fetchall()
        cursor.execute("select * from configuration_revisions order by configuration_id, revision")
        revisions = cursor.fetchall()
        cursor.execute("select * from checks")
        return [applications, revisions, cursor.fetchall()]


def ask(guard: Server, token: str, operation: str, at: Target, one: Try) -> httpx.Response:
    method, path = OPERATIONS[operation]
    of = {"applications": at.application, "checks": at.check}
    target = of.get(path.split("/")[3] if path.startswith("/api") else "", at.configuration)
    headers = {"Authorization": f"Bearer {token}"} | one.get("headers", {})
    return guard.client.request(
        method, path.format(id=target, revision=1), **one | {"headers": headers}
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_confined_token_gets_nothing_of_another_application(
    guard: Server, db: connection, other: Target, operation: str
) -> None:
    nowhere = Target(new_ulid(), new_ulid(), new_ulid(), "nowhere")
    before = stored(db)
    for one, in_vain in zip(tries(other)[operation], tries(nowhere)[operation], strict=True):
        refused = ask(guard, CONFINED, operation, other, one)
        asked = f"{refused.request.url}{refused.request.content!r}"
        for secret in (CANARY, *other):
            assert secret not in f"{refused.text}{refused.headers}" or secret in asked
        # Not even whether there is such an application.
        assert refused.status_code == ask(guard, CONFINED, operation, nowhere, in_vain).status_code
        assert stored(db) == before
    # The same does reach the other application where the token may.
    for one in tries(other)[operation]:
        assert ask(guard, ANYBODY, operation, other, one).is_success


@pytest.mark.parametrize(
    "target",
    [
        "configurations/{configuration}?at=2",
        "configurations/{configuration}?at=99",
        "configurations/{configuration}?at=2999-01-01T00:00:00Z",
        "configurations/{configuration}/revisions?path=/a",
        "configurations/{configuration}/revisions/1",
        "configurations/{configuration}/diff?from=1&to=2",
        "configurations/{configuration}/diff?from=1&to=1&other={own}",
        "configurations/{own}/diff?from=1&to=1&other={configuration}",
        "configurations/{own}/diff?other={configuration}",
        "applications/{application}/content?at=2",
        "applications/{application}/content?at=99",
        "config?application={name}&name=production&at=2",
        "config?application={name}&name=production&at=99",
    ],
)
def test_nor_does_it_get_what_was_deleted_there_or_had_another_name(
    guard: Server, tables: Tables, other: Target, target: str
) -> None:
    [[own]] = tables.rows(
        "insert into configurations (id, application_id, name, config)"
        " select %s, id, 'own', '{}' from applications where name = 'own' returning id",
        new_ulid(),
    )
    tables.rows("delete from configurations where id = %s", other.configuration)
    renamed = other._replace(name=f"renamed-{CANARY}")
    tables.rows("update applications set name = %s where id = %s", renamed.name, other.application)
    nowhere = Target(new_ulid(), new_ulid(), new_ulid(), "nowhere")

    def ask_as(token: str, at: Target) -> httpx.Response:
        path = target.format(own=own, **at._asdict())
        return guard.client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})

    def told(answer: httpx.Response, at: Target) -> tuple[int, str]:
        return answer.status_code, answer.text.replace(at.name, "")

    refused = ask_as(CONFINED, renamed)
    assert told(refused, renamed) == told(ask_as(CONFINED, nowhere), nowhere)
    assert refused.status_code == 404
    # Who may see it is told more.
    assert told(ask_as(ANYBODY, renamed), renamed) != told(refused, renamed) or "diff" in target
