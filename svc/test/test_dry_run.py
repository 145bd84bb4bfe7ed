"""`dry_run=true`: every request that changes something tells what it would do, and does nothing.

Whoever adds an operation adds to `TRIES` how it is done, and how it is refused.
"""

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
import pytest
from psycopg2.extensions import connection

import main
from conftest import Server, Tables, eventually, side_by_side
from edge.tokens import hash_of
from test.answers import hold

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
WRITER, READER = "writer-secret", "reader-secret"
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in main.app.openapi()["paths"].items()
    for method, operation in operations.items()
    if method != "get"
}
REFUSALS = {"400", "404", "409", "412", "413", "428"}

BILLING, SHIPPING, EMPTY = (f"01BRZ3NDEA{number:016}" for number in range(3))
PRODUCTION, EU, GONE, RENAMED, NOWHERE = (f"11BRZ3NDEA{number:016}" for number in range(5))
SMALL, HUGE, BAD = (f"31BRZ3NDEA{number:016}" for number in range(3))
CHECK = f"41BRZ3NDEA{0:016}"
WORLD = f"""
    insert into applications (id, name) values
        ('{BILLING}', 'billing'), ('{SHIPPING}', 'shipping'), ('{EMPTY}', 'empty');
    insert into configurations (id, application_id, name, config) values
        ('{PRODUCTION}', '{BILLING}', 'production', '{{"a": 1, "rate": 1.10}}'),
        ('{EU}', '{BILLING}', 'eu', '{{}}'),
        ('{GONE}', '{BILLING}', 'gone', '{{"a": 1}}'),
        ('{RENAMED}', '{BILLING}', 'taken', '{{}}');
    update configurations set config = '{{"a": 2}}' where id = '{PRODUCTION}';
    update configurations set name = 'renamed' where id = '{RENAMED}';
    insert into configurations (id, application_id, name, config)
        values ('21BRZ3NDEA{0:016}', '{BILLING}', 'taken', '{{}}');
    delete from configurations where id = '{GONE}';
    insert into configurations (id, application_id, name, config) values
        ('{SMALL}', '{SHIPPING}', 'small', '{{"maxProperties": 1}}'),
        ('{HUGE}', '{SHIPPING}', 'huge', json_build_object('$comment', repeat('x', 65536))),
        ('{BAD}', '{SHIPPING}', 'bad', '{{"kind": "x"}}'),
        ('21BRZ3NDEA{1:016}', '{SHIPPING}', 'large', '{{"a": 1, "b": 2}}');
    insert into checks (id, application_id, schema_id, layers)
        values ('{CHECK}', '{SHIPPING}', '{SMALL}', '{{production}}');
"""

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json"}
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
OTHER, ANY = {"If-Match": '"9000"'}, {"If-Match": "*"}
# Short to send, and too long to print.
LONG = f"[{','.join(['1e308'] * 4000)}]"


class Try(NamedTuple):
    """A request, and the status of its answer."""

    status: int
    body: str | None = None
    id: str = ""
    headers: Mapping[str, str] = NO_HEADERS
    query: str = ""


def _whole(configurations: str) -> str:
    return f'{{"configurations": {configurations}}}'


def _check(schema: str = SMALL, layer: str = "production", **more: str) -> str:
    return json.dumps({"schema_id": schema, "layers": [layer], **more})


EQUAL = _whole(
    '{"production": {"config": {"a": 2}}, "eu": {"config": {}}, "renamed": {"config": {}},'
    ' "taken": {"config": {}}}'
)
TRIES: dict[str, list[Try]] = {
    "create_application": [
        Try(201, '{"name": "new", "comments": "x"}'),
        Try(400, '{"name": ""}'),
        Try(409, '{"name": "shipping"}'),
        Try(413, f'{{"name": "new", "comments": "{"x" * 2**20}"}}'),
    ],
    "replace_application": [
        Try(200, '{"name": "new", "comments": "x"}'),
        Try(200, '{"name": "billing"}'),
        Try(400, '{"name": ""}'),
        Try(404, '{"name": "new"}', NOWHERE),
        Try(409, '{"name": "shipping"}'),
        Try(412, '{"name": "new"}', headers=OTHER),
        Try(413, f'{{"name": "new", "comments": "{"x" * 2**20}"}}'),
        Try(428, '{"name": "new"}'),
    ],
    "delete_application": [
        Try(204),
        Try(400, id="x"),
        Try(404, id=NOWHERE),
        Try(412, headers=OTHER),
        Try(428),
    ],
    "create_configuration": [
        Try(201, f'{{"application_id": "{BILLING}", "name": "new", "config": {{"rate": 1.10}}}}'),
        Try(400, f'{{"application_id": "{NOWHERE}", "name": "new"}}'),
        Try(409, f'{{"application_id": "{BILLING}", "name": "eu"}}'),
        Try(413, f'{{"application_id": "{BILLING}", "name": "new", "config": {{"a": {LONG}}}}}'),
    ],
    "replace_configuration": [
        Try(200, '{"name": "new", "config": {"rate": 1.10}}'),
        Try(200, '{"name": "production", "config": {"a": 2}}'),
        Try(400, '{"name": "new"}'),
        Try(404, '{"name": "new", "config": {}}', NOWHERE),
        Try(409, '{"name": "eu", "config": {}}'),
        Try(412, '{"name": "new", "config": {}}', headers=OTHER),
        Try(413, f'{{"name": "new", "config": {{"a": {LONG}}}}}'),
        Try(428, '{"name": "new", "config": {}}'),
    ],
    "patch_configuration": [
        Try(200, '{"config": {"rate": 1.10}}'),
        Try(200, "{}"),
        Try(400, '{"config": null}'),
        Try(404, "{}", NOWHERE),
        Try(409, '{"name": "eu"}'),
        Try(412, '{"comments": "x"}', headers=OTHER),
        Try(413, f'{{"config": {{"a": {LONG}}}}}'),
        Try(428, "{}"),
    ],
    "delete_configuration": [
        Try(409, id=SMALL),
        Try(204),
        Try(400, id="x"),
        Try(404, id=NOWHERE),
        Try(412, headers=OTHER),
        Try(428),
    ],
    "rollback_configuration": [
        Try(200, '{"revision": 1}'),
        Try(200, '{"revision": 2}'),
        Try(200, '{"revision": 1}', GONE),
        Try(400, '{"revision": 9}'),
        Try(404, '{"revision": 1}', NOWHERE),
        Try(409, '{"revision": 1}', RENAMED),
        Try(412, '{"revision": 1}', headers=OTHER),
        Try(413, f'{{"revision": {"1" * 2**20}}}'),
        Try(428, '{"revision": 1}'),
    ],
    "patch_content": [
        Try(200, _whole('{"production": {"config": {"b": 1.10}}, "eu": null, "new": {}}')),
        Try(200, _whole('{"first": {"comments": "x"}}'), EMPTY),
        Try(200, _whole('{"production": {"config": {"a": 2}}, "nobody": null}')),
        Try(400, "{}"),
        Try(404, _whole("{}"), NOWHERE),
        Try(409, _whole('{"production": {"config": {"a": 1, "b": 2}}}'), SHIPPING),
        Try(412, _whole('{"new": {}}'), headers=OTHER),
        Try(412, _whole('{"new": {}, "eu": {"revision": 9}}')),
        Try(413, _whole(f'{{"new": {{}}, "eu": {{"config": {{"a": {LONG}}}}}}}')),
        Try(428, _whole('{"new": {}}')),
    ],
    "replace_content": [
        Try(200, _whole('{"eu": {"config": {"b": 1.10}}}'), headers=ANY, query="&deletes=3"),
        Try(200, _whole('{"first": {"config": {}}}'), EMPTY, ANY),
        Try(200, EQUAL, headers=ANY),
        Try(400, "{}", headers=ANY),
        Try(404, _whole("{}"), NOWHERE, ANY),
        Try(409, _whole('{"new": {"config": {}}}'), headers=ANY, query="&deletes=3"),
        Try(412, EQUAL, headers=OTHER),
        Try(413, _whole(f'{{"eu": {{"config": {{"a": {LONG}}}}}}}'), headers=ANY),
        Try(428, EQUAL),
    ],
    "rollback_content": [
        Try(200, '{"sequence": 7}', headers=ANY),
        Try(200, '{"sequence": 4}', headers=ANY, query="&deletes=1"),
        Try(200, '{"sequence": 0}', headers=ANY, query="&deletes=4"),
        Try(200, '{"sequence": 8}', headers=ANY),
        Try(200, '{"sequence": 0}', EMPTY, ANY),
        Try(400, '{"sequence": 9000}', headers=ANY),
        Try(404, '{"sequence": 0}', NOWHERE, ANY),
        Try(409, '{"sequence": 0}', headers=ANY, query="&deletes=1"),
        Try(412, '{"sequence": 4}', headers=OTHER),
        Try(413, f'{{"sequence": {"1" * 2**20}}}', headers=ANY),
        Try(428, '{"sequence": 4}'),
    ],
    "create_check": [
        Try(201, _check(application_id=SHIPPING)),
        Try(400, _check(application_id=BILLING)),
        Try(400, _check(BAD, application_id=SHIPPING)),
        Try(409, _check(layer="large", application_id=SHIPPING)),
        Try(413, _check(HUGE, application_id=SHIPPING)),
    ],
    "replace_check": [
        Try(200, _check(layer="small")),
        Try(200, _check()),
        Try(400, _check(BAD)),
        Try(404, _check(), NOWHERE),
        Try(409, _check(layer="large")),
        Try(412, _check(), headers=OTHER),
        Try(413, _check(HUGE)),
        Try(428, _check()),
    ],
    "delete_check": [
        Try(204),
        Try(400, id="x"),
        Try(404, id=NOWHERE),
        Try(412, headers=OTHER),
        Try(428),
    ],
}
ALL = [(operation, one) for operation, tries in TRIES.items() for one in tries]
# What is tried again with the ETag of the dry run.
FIXED = [
    (operation, one)
    for operation, one in ALL
    if one.status < 300 and "{id}" in OPERATIONS[operation][1] and one.id != GONE
]


def each(tries: list[tuple[str, Try]]) -> pytest.MarkDecorator:
    names = [f"{operation}-{one.status}" for operation, one in tries]
    return pytest.mark.parametrize(("operation", "one"), tries, ids=names)


@pytest.fixture(scope="module")
def guard(dsn: str) -> Iterator[Server]:
    """A service that requires If-Match, and a token."""
    tokens = f"writer:write:{hash_of(WRITER.encode())},reader:read:{hash_of(READER.encode())}"
    server = Server(DATABASE_URL=dsn, REQUIRE_IF_MATCH="true", API_TOKENS=tokens)
    with side_by_side(server):
        server.client.headers["Authorization"] = f"Bearer {WRITER}"
        hold(server.client)
        yield server


@pytest.fixture
def world(tables: Tables) -> Tables:
    """Two applications, one of them with configurations and their history."""
    for statement in WORLD.strip().removesuffix(";").split(";"):
        tables.rows(statement)
    return tables


def stored(tables: Tables) -> dict[str, list[Any]]:
    """All rows of all tables, and all sequences."""
    names = tables.rows("select relname from pg_stat_user_tables order by relname")
    rows = {name: tables.rows(f'select * from "{name}" order by 1, 2') for (name,) in names}
    return rows | {"sequences": tables.rows("select * from pg_sequences order by 1, 2")}


def listen(db: connection) -> None:
    """From now on `heard` knows what wakes watchers."""
    with db.cursor() as cursor:
        cursor.execute("listen changes; listen heard")


def heard(db: connection) -> list[str]:
    """What has woken watchers since it was asked before."""
    with db.cursor() as cursor:
        # Notifications come in the order of their commits: behind this one there is none left.
        cursor.execute("notify heard")

    def is_told() -> bool:
        db.poll()
        return any(one.channel == "heard" for one in db.notifies)

    eventually(is_told)
    told = [one.payload for one in db.notifies if one.channel == "changes"]
    db.notifies.clear()
    return told


def ask(client: httpx.Client, operation: str, one: Try, query: str, **more: str) -> httpx.Response:
    method, template, _ = OPERATIONS[operation]
    usual = {"applications": BILLING, "configurations": PRODUCTION, "checks": CHECK}
    path = template.format(id=one.id or usual[template.split("/")[3]])
    kind = MERGE_PATCH if method == "PATCH" else JSON if one.body else {}
    headers = {**kind, **one.headers, **more}
    return client.request(method, f"{path}?{query}{one.query}", content=one.body, headers=headers)


def told(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """What an answer says, but for its ETag, the time, and the ids that were made for it."""
    known = {BILLING, SHIPPING, EMPTY, PRODUCTION, EU, GONE, RENAMED}
    made = r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b"

    def without(text: str) -> str:
        return re.sub(made, lambda found: found[0] if found[0] in known else "made", text)

    differing = {"date", "x-request-id", "etag"}
    headers = {k: without(v) for k, v in answer.headers.items() if k not in differing}
    return answer.status_code, headers, without(answer.text)


def test_every_operation_is_tried_and_refused_in_each_way_that_is_documented() -> None:
    assert TRIES.keys() == OPERATIONS.keys()
    for name, (_, _, operation) in OPERATIONS.items():
        assert "dry_run" in {one["name"] for one in operation["parameters"]}
        tried = {str(one.status) for one in TRIES[name]}
        assert tried >= operation["responses"].keys() & REFUSALS, name


@each(ALL)
def test_a_dry_run_changes_nothing_and_tells_what_the_real_request_then_does(
    api: httpx.Client, guard: Server, db: connection, world: Tables, operation: str, one: Try
) -> None:
    client = guard.client if one.status == 428 else api
    listen(db)
    before = stored(world)
    tried = ask(client, operation, one, "dry_run=true")
    assert tried.status_code == one.status, tried.text
    assert (stored(world), heard(db)) == (before, [])
    tag = tried.headers.get("etag")
    is_fixed = (operation, one) in FIXED
    done = ask(client, operation, one, "", **({"If-Match": tag} if is_fixed and tag else {}))
    assert told(done) == told(tried)
    if one.status >= 400:
        assert done.headers.get("etag") == tag
        assert (stored(world), heard(db)) == (before, [])
    else:
        assert (tag is not None) == is_fixed


@each(FIXED)
def test_what_a_dry_run_told_is_refused_after_a_change_between(
    api: httpx.Client, db: connection, world: Tables, operation: str, one: Try
) -> None:
    tag = ask(api, operation, one, "dry_run=true").headers["etag"]
    world.rows("update applications set comments = 'between'")
    world.rows("update configurations set comments = 'between'")
    world.rows("update checks set layers = '{between}'")
    world.rows(
        "insert into configurations (id, application_id, name, config)"
        " values (%s, %s, 'between', '{}')",
        *(NOWHERE, one.id or BILLING),
    )
    listen(db)
    before = stored(world)
    assert ask(api, operation, one, "", **{"If-Match": tag}).status_code == 412
    assert (stored(world), heard(db)) == (before, [])


def test_dry_run_is_true_or_false(api: httpx.Client, world: Tables) -> None:
    path, body = f"{APPLICATIONS}/{BILLING}", {"name": "new"}
    for query in ["dry_run=1", "dry_run=True", "dry_run=", "dry_run", "dry_run=true&dry_run=true"]:
        refused = api.put(f"{path}?{query}", json=body)
        assert refused.status_code == 400
        assert [one["parameter"] for one in refused.json()["errors"]] == ["dry_run"]
    assert api.put(f"{path}?dry_run=true", json=body).status_code == 200
    assert api.get(path).json()["name"] == "billing"
    assert api.put(f"{path}?dry_run=false", json=body).status_code == 200
    assert api.get(path).json()["name"] == "new"


def test_a_dry_run_needs_the_same_permission(guard: Server, world: Tables) -> None:
    for operation, tries in TRIES.items():
        for token, status in [(READER, 403), ("unknown", 401)]:
            headers = {"Authorization": f"Bearer {token}"}
            refused = ask(guard.client, operation, tries[0], "dry_run=true", **headers)
            assert refused.status_code == status


def test_a_dry_run_undoes_nothing_of_the_requests_beside_it(
    api: httpx.Client, tables: Tables
) -> None:
    application = tables.application()
    ids = [tables.configuration(application, f"c{number}") for number in range(40)]

    def put(number: int) -> httpx.Response:
        query = "?dry_run=true" if number % 2 else ""
        body = {"name": f"c{number}", "config": {"done": True}}
        return api.put(f"{CONFIGURATIONS}/{ids[number]}{query}", json=body)

    with ThreadPoolExecutor(16) as clients:
        assert {answer.status_code for answer in clients.map(put, range(40))} == {200}
    done = tables.rows("select id from configurations where config = '{\"done\": true}'")
    assert {one for (one,) in done} == set(ids[::2])
