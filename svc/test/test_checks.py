"""Checks: no document counts that programs could not run on, whichever way it comes."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple

import httpx
import psycopg2
import pytest
from psycopg2.errors import CheckViolation
from psycopg2.extensions import connection

from conftest import Server, Tables, eventually, side_by_side
from test.test_content import CONFIGURATIONS, MERGE_PATCH, Content
from test.test_dry_run import stored
from wire.types import new_ulid

CHECKS = "/api/v1/checks"
FAILED, IN_USE = "urn:problem:check-failed", "urn:problem:check-in-use"
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["timeout", "retries"],
    "properties": {
        "timeout": {"type": "number", "minimum": 0, "maximum": 30},
        "retries": {"type": "integer", "maximum": 5},
        "mail": {"type": "string", "format": "email"},
    },
}
CANARY = "canary-of-the-document"


class Checked(Content):
    """An application whose layers `defaults`, `eu` (which may be missing) and `production` fit a
    schema together."""

    def __init__(self, api: httpx.Client, name: str = "billing") -> None:
        super().__init__(api, name)
        self.schema = self.write("schema", SCHEMA)
        self.defaults = self.write("defaults", {"timeout": 10, "retries": 3})
        self.production = self.write("production", {"timeout": 20})
        self.check = self.tie(["defaults", "eu", "production"], ["eu"])

    def tie(
        self, layers: list[str], optional: list[str] | None = None, schema: str | None = None
    ) -> str:
        """Makes a check; its path."""
        answer = self.try_to_tie(layers, optional, schema)
        assert answer.status_code == 201, answer.text
        path: str = answer.headers["location"]
        return path

    def try_to_tie(
        self, layers: list[str], optional: list[str] | None = None, schema: str | None = None
    ) -> httpx.Response:
        body = {
            "application_id": self.id,
            "schema_id": last(schema or self.schema),
            "layers": layers,
            "optional": optional or [],
        }
        return self.api.post(CHECKS, json=body)

    def set(self, path: str, name: str, config: Any, query: str = "") -> httpx.Response:
        return self.api.put(f"{path}?{query}", json={"name": name, "config": config})

    def merge(self, path: str, patch: Any, query: str = "") -> httpx.Response:
        body = json.dumps(patch)
        return self.api.patch(f"{path}?{query}", content=body, headers=MERGE_PATCH)


@pytest.fixture
def checked(api: httpx.Client) -> Checked:
    return Checked(api)


@pytest.fixture
def psql(dsn: str) -> Iterator[connection]:
    """A person's own connection, whose transaction goes on until `commit`."""
    with closing(psycopg2.connect(dsn)) as opened:
        yield opened


def type_in(psql: connection, *statements: str) -> None:
    with psql.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def last(path: str) -> str:
    """The id at the end of a path."""
    return path.rpartition("/")[2]


def faults(refused: httpx.Response, *checks: str) -> list[str]:
    """The pointers of what the checks have against it, where these and no others are named."""
    assert refused.status_code == 409, refused.text
    problem = refused.json()
    assert problem["type"] == FAILED
    assert len(problem["errors"]) <= 20
    assert all(one["detail"] for one in problem["errors"])
    named = {one["check"] for one in problem["errors"]}
    assert not checks or named == {last(check) for check in checks}
    return sorted(one["pointer"] for one in problem["errors"])


# Checks as resources


def test_a_check_is_created_read_listed_replaced_and_deleted(checked: Checked) -> None:
    found = checked.api.get(checked.check)
    assert found.json() == {
        "id": last(checked.check),
        "application_id": checked.id,
        "schema_id": last(checked.schema),
        "layers": ["defaults", "eu", "production"],
        "optional": ["eu"],
    }
    assert found.headers["etag"] == '"1"'
    assert found.headers["cache-control"] == "private, no-cache"
    known = checked.api.get(checked.check, headers={"If-None-Match": '"1"'})
    assert (known.status_code, known.content) == (304, b"")
    assert checked.api.head(checked.check).headers["etag"] == '"1"'
    same = checked.api.put(checked.check, json=found.json(), headers={"If-Match": '"1"'})
    assert (same.status_code, same.headers["etag"]) == (200, '"1"')
    body = {"schema_id": last(checked.schema), "layers": ["defaults"]}
    replaced = checked.api.put(checked.check, json=body)
    assert (replaced.status_code, replaced.headers["etag"]) == (200, '"2"')
    assert replaced.json() == found.json() | {"layers": ["defaults"], "optional": []}
    late = checked.api.delete(checked.check, headers={"If-Match": '"1"'})
    assert (late.status_code, late.headers["etag"]) == (412, '"2"')
    assert checked.api.delete(checked.check).status_code == 204
    assert checked.api.get(checked.check).status_code == 404
    assert checked.set(checked.production, "production", {"timeout": "long"}).status_code == 200


def test_checks_are_listed_in_pages_and_by_application(checked: Checked) -> None:
    other = Checked(checked.api, "shipping")
    paths = sorted([checked.check, checked.tie(["defaults"]), checked.tie(["eu"])])
    listed = checked.api.get(CHECKS, params={"application_id": checked.id, "limit": 2})
    assert [one["id"] for one in listed.json()] == [last(path) for path in paths[:2]]
    following = checked.api.get(listed.links["next"]["url"])
    assert [one["id"] for one in following.json()] == [last(paths[2])]
    assert "next" not in following.links
    assert len(checked.api.get(CHECKS).json()) == 4
    assert len(checked.api.get(CHECKS, params={"application_id": other.id}).json()) == 1
    assert checked.api.get(CHECKS, params={"application_id": new_ulid()}).json() == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"layers": []}, "/layers"),
        ({"layers": [f"l{number}" for number in range(17)]}, "/layers"),
        ({"layers": ["a", "a"]}, "/layers"),
        ({"layers": ["a", " b"]}, "/layers/1"),
        ({"layers": ["a"], "optional": ["b"]}, "/optional"),
        ({"layers": ["a"], "optional": ["a", "a"]}, "/optional"),
        ({"schema_id": "x"}, "/schema_id"),
        ({"schema_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "/schema_id"),
        ({"application_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "/application_id"),
        ({"name": "a"}, "/name"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused_where_it_does_not(
    checked: Checked, change: dict[str, Any], pointer: str
) -> None:
    whole = checked.api.get(checked.check).json()
    made = {name: value for name, value in whole.items() if name != "id"} | change
    for answer in (
        checked.api.post(CHECKS, json=made),
        checked.api.put(checked.check, json=whole | change),
    ):
        assert answer.status_code == 400
        assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]
    assert checked.api.get(checked.check).json() == whole


def test_a_schema_belongs_to_the_check_s_application(checked: Checked) -> None:
    other = Checked(checked.api, "shipping")
    refused = checked.try_to_tie(["defaults"], schema=other.schema)
    assert refused.status_code == 400
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/schema_id"]


def test_an_application_has_at_most_16_checks(checked: Checked) -> None:
    for number in range(15):
        checked.tie([f"l{number}"])
    refused = checked.try_to_tie(["defaults"])
    assert (refused.status_code, refused.json()["type"]) == (409, "about:blank")
    assert "16" in refused.json()["detail"]
    assert checked.set(checked.check, "", {}).status_code == 400
    Checked(checked.api, "shipping")


# What is held against a check


WAYS: dict[str, Callable[[Checked], httpx.Response]] = {
    "PUT": lambda one: one.set(one.production, "production", {"timeout": 40}),
    "PATCH": lambda one: one.merge(one.production, {"config": {"timeout": 40}}),
    "POST": lambda one: one.api.post(
        CONFIGURATIONS,
        json={"application_id": one.id, "name": "eu", "config": {"retries": "many"}},
    ),
    "a rename to a layer": lambda one: one.merge(
        one.write("other", {"retries": "many"}), {"name": "eu"}
    ),
    "PATCH of content": lambda one: one.patch({"eu": {"config": {"retries": "many"}}}),
    "PUT of content": lambda one: one.put(
        {
            "schema": {"config": SCHEMA},
            "defaults": {"config": {"retries": 3}},
            "production": {"config": {}},
        },
        "deletes=1",
    ),
    "the schema by PUT": lambda one: one.set(
        one.schema, "schema", SCHEMA | {"required": ["currency"]}
    ),
    "the schema by PATCH": lambda one: one.merge(one.schema, {"config": {"required": ["eur"]}}),
    "the schema by content": lambda one: one.patch({"schema": {"config": {"required": ["eur"]}}}),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_in_passes_a_check(checked: Checked, tables: Tables, way: str) -> None:
    other = checked.write("other-first", {})
    checked.merge(other, {"config": {"a": 1}})

    def content() -> list[Any]:
        return tables.rows("select name, config from configurations where name <> 'other'")

    before = content()
    pointers = faults(WAYS[way](checked), checked.check)
    assert pointers
    assert content() == before


def test_a_deletion_and_a_rename_away_are_changes_of_the_merged_document(checked: Checked) -> None:
    whole = {"timeout": 10, "retries": 3}
    checked.set(checked.production, "production", {})
    checked.set(checked.defaults, "defaults", {})
    # Only what is optional is left: the document needs it.
    refused = checked.try_to_tie(["eu"], ["eu"])
    assert faults(refused) == [""]
    eu = checked.write("eu", whole)
    check = checked.tie(["eu"], ["eu"])
    assert faults(checked.api.delete(eu), check) == [""]
    assert faults(checked.merge(eu, {"name": "us"}), check) == [""]
    assert faults(checked.patch({"eu": None}), check) == [""]
    assert checked.api.get(eu).json()["name"] == "eu"


def test_a_rollback_that_would_break_a_check_is_refused(checked: Checked) -> None:
    eu = checked.write("eu", {})
    checked.api.delete(checked.check)
    checked.merge(eu, {"config": {"retries": "many"}})
    checked.merge(eu, {"config": {"retries": 4}})
    broken = checked.get().json()["sequence"] - 1
    check = checked.tie(["defaults", "eu"])
    assert faults(checked.api.post(f"{eu}/rollback", json={"revision": 2}), check) == ["/retries"]
    back = checked.api.post(f"{eu}/rollback", json={"revision": 1})
    assert back.status_code == 200
    refused = checked.api.post(
        f"{checked.application}/rollback", json={"sequence": broken}, headers={"If-Match": "*"}
    )
    assert faults(refused, check) == ["/retries"]
    checked.api.delete(check)
    checked.api.delete(eu)
    check = checked.tie(["defaults", "eu"], ["eu"])
    assert faults(checked.api.post(f"{eu}/rollback", json={"revision": 2}), check) == ["/retries"]


def test_the_rollback_of_an_application_keeps_the_schemas_of_checks(checked: Checked) -> None:
    refused = checked.api.post(
        f"{checked.application}/rollback?deletes=3", json={"sequence": 0}, headers={"If-Match": "*"}
    )
    assert (refused.status_code, refused.json()["type"]) == (409, IN_USE)


def test_the_merged_document_counts_and_not_its_layers(checked: Checked) -> None:
    # Neither has all that is required.
    assert checked.set(checked.production, "production", {"retries": 3}).status_code == 200
    assert checked.set(checked.defaults, "defaults", {"timeout": 1}).status_code == 200
    assert faults(checked.set(checked.production, "production", {"timeout": None})) == [""]
    # What a later layer replaces does not count.
    assert checked.set(checked.defaults, "defaults", {"timeout": 1, "retries": "x"}).is_success


def test_where_a_layer_is_missing_that_must_be_there_is_nothing_to_check_yet(
    checked: Checked,
) -> None:
    assert checked.api.delete(checked.production).status_code == 204
    assert checked.set(checked.defaults, "defaults", {"timeout": "long"}).status_code == 200
    refused = checked.api.post(
        CONFIGURATIONS, json={"application_id": checked.id, "name": "production"}
    )
    assert faults(refused, checked.check) == ["", "/timeout"]


def test_where_all_layers_are_optional_and_missing_the_empty_document_is_checked(
    checked: Checked,
) -> None:
    assert faults(checked.try_to_tie(["us"], ["us"])) == [""]
    easy = checked.write("easy", {"type": "object"})
    assert checked.tie(["us"], ["us"], easy)


def test_a_new_check_that_the_documents_fail_is_refused_and_so_is_a_change_of_one(
    checked: Checked, tables: Tables
) -> None:
    strict = checked.write("strict", {"required": ["currency"]})
    before = tables.rows("select * from checks")
    [error] = checked.try_to_tie(["defaults"], schema=strict).json()["errors"]
    assert (error["pointer"], len(error["check"])) == ("", 26)
    body = {"schema_id": last(strict), "layers": ["defaults"]}
    assert faults(checked.api.put(checked.check, json=body), checked.check) == [""]
    assert tables.rows("select * from checks") == before


def test_every_check_that_fails_is_named_and_at_most_20_faults_are_told(checked: Checked) -> None:
    checks = [checked.check]
    for number in range(5):
        names = [f"x{number}{digit}" for digit in range(9)]
        properties = {name: {"type": "integer"} for name in names}
        schema = checked.write(f"s{number}", {"properties": properties})
        checks.append(checked.tie(["defaults", "production"], schema=schema))
    broken = {f"x{number}{digit}": "no" for number in range(5) for digit in range(9)}
    refused = checked.set(checked.production, "production", {"timeout": 40} | broken)
    assert len(faults(refused, *checks)) == 20


def test_schema_and_documents_change_together(checked: Checked) -> None:
    properties: dict[str, Any] = SCHEMA["properties"]  # type: ignore[assignment]
    seconds = SCHEMA | {"properties": properties | {"timeout": {"type": "string"}}}
    alone = checked.patch({"schema": {"config": seconds}})
    assert faults(alone, checked.check) == ["/timeout"]
    both = {"schema": {"config": seconds}, "production": {"config": {"timeout": "20s"}}}
    assert checked.patch(both).status_code == 200
    assert faults(checked.merge(checked.production, {"config": {"timeout": 20}})) == ["/timeout"]
    back = checked.api.post(
        f"{checked.application}/rollback", json={"sequence": 3}, headers={"If-Match": "*"}
    )
    assert back.status_code == 200
    assert checked.merge(checked.production, {"config": {"timeout": 21}}).status_code == 200


def test_a_format_is_an_annotation(checked: Checked) -> None:
    change = {"config": {"mail": "not an address"}}
    assert checked.merge(checked.production, change).status_code == 200


# Schemas


def test_what_is_not_supported_is_refused_when_the_check_is_made_or_the_schema_edited(
    checked: Checked,
) -> None:
    unsupported = {"properties": {"a": {"unevaluatedItems": False}}, "kind": "x"}
    schema = checked.write("other", unsupported)
    for refused in (
        checked.try_to_tie(["defaults"], schema=schema),
        checked.set(checked.schema, "schema", unsupported),
        checked.patch({"schema": {"config": unsupported}}),
    ):
        assert (refused.status_code, refused.json()["type"]) == (400, "about:blank")
        pointers = {one["pointer"] for one in refused.json()["errors"]}
        assert pointers == {"/properties/a/unevaluatedItems", "/kind"}
    assert checked.api.get(checked.schema).headers["etag"] == '"1"'


def test_a_schema_has_at_most_64_kib_as_it_is_printed(checked: Checked) -> None:
    def sized(size: int) -> dict[str, str]:
        return {"$comment": "x" * (size - len('{"$comment": ""}'))}

    most = checked.write("most", sized(64 * 1024))
    more = checked.write("more", sized(64 * 1024 + 1))
    check = checked.tie(["defaults"], schema=most)
    assert checked.try_to_tie(["defaults"], schema=more).status_code == 413
    assert checked.set(most, "most", sized(64 * 1024 + 1)).status_code == 413
    body = {"schema_id": last(more), "layers": ["defaults"]}
    assert checked.api.put(check, json=body).status_code == 413


def test_the_schema_of_a_check_may_be_renamed_and_cannot_be_deleted(checked: Checked) -> None:
    assert checked.merge(checked.schema, {"name": "renamed"}).status_code == 200
    for refused in (
        checked.api.delete(checked.schema),
        checked.patch({"renamed": None}),
        checked.put({}, "deletes=3"),
    ):
        assert (refused.status_code, refused.json()["type"]) == (409, IN_USE)
        assert last(checked.check) in refused.json()["detail"]
    assert faults(checked.merge(checked.production, {"config": {"timeout": 40}})) == ["/timeout"]
    checked.api.delete(checked.check)
    assert checked.api.delete(checked.schema).status_code == 204


def test_an_application_takes_its_checks_along(checked: Checked, tables: Tables) -> None:
    assert checked.api.delete(f"{checked.application}?note=gone").status_code == 204
    assert checked.api.get(checked.check).status_code == 404
    assert tables.rows("select * from checks") == tables.rows("select * from schemas") == []
    found = tables.rows("select distinct note from configuration_revisions where action = 'delete'")
    assert found == [("gone",)]


def test_a_schema_that_is_no_check_s_is_a_configuration_like_any_other(checked: Checked) -> None:
    body = {"schema_id": last(checked.write("easy", {})), "layers": ["defaults"]}
    assert checked.api.put(checked.check, json=body).status_code == 200
    assert checked.set(checked.schema, "schema", {"kind": "x"}).status_code == 200
    assert checked.api.delete(checked.schema).status_code == 204


# A linter


def test_a_dry_run_is_a_linter(checked: Checked, tables: Tables) -> None:
    before = stored(tables)
    wrong = {"timeout": 40, "retries": "many"}
    tried = checked.set(checked.production, "production", wrong, "dry_run=true")
    assert faults(tried, checked.check) == ["/retries", "/timeout"]
    assert stored(tables) == before
    done = checked.set(checked.production, "production", wrong)
    assert (done.status_code, done.json()) == (409, tried.json())
    assert checked.set(checked.production, "production", {"timeout": 1}, "dry_run=true").is_success
    content = checked.patch({"eu": {"config": wrong}, "us": {"config": {}}}, "dry_run=true")
    assert faults(content, checked.check) == ["/retries"]
    assert stored(tables) == before


# What is typed into psql


def test_a_transaction_of_several_statements_is_checked_as_it_is_at_its_end(
    checked: Checked, psql: connection
) -> None:
    wrong = "update configurations set config = '{\"timeout\": 40}' where name = 'production'"
    right = "update configurations set config = '{\"timeout\": 30}' where name = 'production'"
    type_in(psql, wrong, right)
    psql.commit()
    type_in(psql, right, wrong, "update configurations set comments = 'x' where name = 'schema'")
    with pytest.raises(CheckViolation) as raised:
        psql.commit()
    assert raised.value.diag.constraint_name == "checks_hold"
    assert checked.items()["production"]["config"] == {"timeout": 30}


@pytest.mark.parametrize("immediate", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        "update configurations set config = '{\"timeout\": 40}' where name = 'production'",
        "update configurations set name = 'us' where name = 'eu'",
        "update configurations set name = 'eu' where name = 'wrong'",
        "delete from configurations where name = 'eu'",
        "insert into configurations (id, application_id, name, config)"
        " select '01ARZ3NDEKTSV4RRFFQ69G5FAV', id, 'asia', '{\"retries\": 9}' from applications",
        "update configurations set config = '{\"required\": [\"x\"]}' where name = 'schema'",
    ],
)
def test_nothing_that_is_typed_in_passes_a_check(
    checked: Checked, psql: connection, change: str, *, immediate: bool
) -> None:
    checked.merge(checked.defaults, {"config": {"timeout": None}})
    eu = checked.write("eu", {"timeout": 2})
    checked.set(checked.production, "production", {})
    if "wrong" in change:
        checked.write("wrong", {"timeout": 40})
        checked.merge(eu, {"config": {"timeout": 3}})
        change = f"update configurations set name = 'old' where name = 'eu'; {change}"
    checked.api.delete(checked.check)
    checked.tie(["defaults", "eu", "asia", "production"], ["eu", "asia"])
    if immediate and "wrong" not in change:
        type_in(psql, "set constraints all immediate")
        with pytest.raises(CheckViolation):
            type_in(psql, change)
    else:
        type_in(psql, change)
        with pytest.raises(CheckViolation):
            psql.commit()


def test_what_a_savepoint_takes_back_is_neither_checked_nor_forgotten(
    checked: Checked, psql: connection
) -> None:
    wrong = "update configurations set config = '{\"timeout\": 40}' where name = 'production'"
    right = "update configurations set config = '{\"timeout\": 30}' where name = 'production'"
    type_in(psql, "savepoint a", wrong, "rollback to a", right)
    psql.commit()
    type_in(psql, "savepoint a", right.replace("30", "29"), "set constraints all immediate")
    type_in(psql, "rollback to a", "set constraints all deferred", wrong)
    with pytest.raises(CheckViolation):
        psql.commit()
    assert checked.items()["production"]["config"] == {"timeout": 30}


def test_what_history_has_trimmed_is_checked_all_the_same(
    checked: Checked, psql: connection
) -> None:
    type_in(
        psql,
        "set config_service.history_keep_revisions = 1",
        "update configurations set config = '{\"timeout\": 40}' where name = 'production'",
        "update configurations set comments = 'a' where name = 'schema'",
        "update configurations set comments = 'b' where name = 'schema'",
    )
    with pytest.raises(CheckViolation):
        psql.commit()


def test_a_person_gets_the_limits_too(checked: Checked, psql: connection) -> None:
    other = Checked(checked.api, "shipping")
    for statement, constraint in [
        (f"update checks set application_id = '{other.id}'", "checks_identity"),
        ("update checks set layers = '{}', optional = '{}'", "checks_layers_number"),
        ("update checks set optional = '{x}'", "checks_optional_layers"),
        (
            f"update checks set schema_id = '{last(other.schema)}' where application_id ="
            f" '{checked.id}'",
            "checks_schema_of_application",
        ),
        ("delete from configurations where name = 'schema'", "checks_in_use"),
    ]:
        with pytest.raises(CheckViolation) as raised:
            type_in(psql, statement)
        assert raised.value.diag.constraint_name == constraint
        psql.rollback()
    with pytest.raises(psycopg2.errors.RestrictViolation):
        type_in(psql, "truncate checks")


# Many at once


def test_a_change_that_waits_for_a_check_is_held_against_it(
    checked: Checked, psql: connection, tables: Tables
) -> None:
    checked.api.delete(checked.check)
    for change, constraint in [
        (lambda: checked.set(checked.production, "production", {"timeout": 40}), FAILED),
        (lambda: checked.set(checked.schema, "schema", {"required": ["x"]}), FAILED),
        (lambda: checked.set(checked.schema, "schema", {"kind": "x"}), "about:blank"),
        (lambda: checked.api.delete(checked.schema), IN_USE),
    ]:
        made = new_ulid()
        type_in(
            psql,
            "insert into checks (id, application_id, schema_id, layers) values"
            f" ('{made}', '{checked.id}', '{last(checked.schema)}', '{{defaults,production}}')",
        )
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(change)
            eventually(lambda: is_waiting(tables))
            psql.commit()
            assert asked.result().json()["type"] == constraint
        tables.rows("delete from checks")


def is_waiting(tables: Tables) -> bool:
    """Whether somebody waits for a lock in the tests' own database."""
    return bool(
        tables.rows(
            "select from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
    )


def test_one_of_a_batch_is_refused_and_the_others_are_served(checked: Checked) -> None:
    paths = [checked.write(f"c{number}", {}) for number in range(40)]
    checked.api.delete(checked.check)
    for number in range(0, 15):
        checked.tie([f"c{number}", "defaults"])

    def change(number: int) -> httpx.Response:
        config = {"timeout": 40} if number == 7 else {"timeout": number % 30}
        # In front of the defaults, which would hide it.
        return checked.set(paths[number], f"c{number}", {"mail": config["timeout"]} | config)

    with ThreadPoolExecutor(40) as clients:
        answers = [*clients.map(change, range(40))]
    assert [answer.status_code for answer in answers] == [409] * 15 + [200] * 25


class Pair(NamedTuple):
    """Two layers of one check, of which one has to be 0."""

    content: Content
    left: str
    right: str


def make_pair(api: httpx.Client) -> Pair:
    content = Content(api, "pair")
    schema = content.write(
        "schema", {"anyOf": [{"properties": {name: {"const": 0}}} for name in ("left", "right")]}
    )
    left, right = (content.write(name, {name: 0}) for name in ("left", "right"))
    body = {"application_id": content.id, "schema_id": last(schema), "layers": ["left", "right"]}
    assert api.post(CHECKS, json=body).status_code == 201
    return Pair(content, left, right)


@pytest.mark.faults
def test_two_clients_of_two_instances_never_break_a_check_together(
    server: Server, dsn: str, tables: Tables, seconds: float
) -> None:
    """Each is valid alone, and both together are not: never do both get through."""
    pair, rounds = make_pair(server.client), 2000 if seconds else 50
    other = Server(DATABASE_URL=dsn)
    refused = 0
    with side_by_side(other), ThreadPoolExecutor(2) as clients:
        for number in range(1, rounds + 1):
            asked = [
                clients.submit(client.put, path, json={"name": name, "config": {name: number}})
                for client, path, name in random.sample(
                    [
                        (server.client, pair.left, "left"),
                        (other.client, pair.right, "right"),
                    ],
                    2,
                )
            ]
            statuses = sorted(one.result().status_code for one in asked)
            assert statuses == [200, 409]
            refused += 1
            items = pair.content.items()
            assert 0 in (items["left"]["config"]["left"], items["right"]["config"]["right"])
            pair.content.patch({name: {"config": {name: 0}} for name in ("left", "right")})
    assert refused == rounds


def test_two_of_a_batch_that_change_two_layers_of_one_check_are_one_and_a_refusal(
    server: Server, api: httpx.Client
) -> None:
    pair = make_pair(api)
    with ThreadPoolExecutor(2) as clients:
        for number in range(1, 31):
            asked = [
                clients.submit(api.put, path, json={"name": name, "config": {name: number}})
                for path, name in ((pair.left, "left"), (pair.right, "right"))
            ]
            assert sorted(one.result().status_code for one in asked) == [200, 409]
            pair.content.patch({name: {"config": {name: 0}} for name in ("left", "right")})


# What is told, and what not


def test_no_value_of_a_document_is_told(checked: Checked, server: Server, tables: Tables) -> None:
    begin = len(server.lines)
    wrong = {"timeout": CANARY, "retries": f"{CANARY}-2", "mail": [CANARY]}
    answers = [
        checked.set(checked.production, "production", wrong),
        checked.merge(checked.production, {"config": wrong}),
        checked.patch({"production": {"config": wrong}}),
        checked.set(checked.production, "production", wrong, "dry_run=true"),
    ]
    for answer in answers:
        assert faults(answer, checked.check) == ["/mail", "/retries", "/timeout"]
        assert CANARY not in answer.text
    ids = [answer.headers["x-request-id"] for answer in answers]
    eventually(lambda: all(one in "".join(server.lines[begin:]) for one in ids))
    assert CANARY not in "".join(server.lines[begin:])


def test_a_key_that_is_long_is_not_sent_back(checked: Checked) -> None:
    key = "k" * 5000
    schema = checked.write("narrow", {"additionalProperties": {"additionalProperties": False}})
    checked.tie(["us"], ["us"], schema)
    refused = checked.api.post(
        CONFIGURATIONS,
        json={"application_id": checked.id, "name": "us", "config": {"a": {key: 1}}},
    )
    assert faults(refused) == ["/a"]


@pytest.fixture
def few_steps(tables: Tables) -> Iterator[None]:
    """A check takes too long after a few steps."""
    [[usual]] = tables.rows("select most_steps()")
    change = "create or replace function most_steps() returns bigint language sql immutable return"
    tables.rows(f"{change} 100")
    yield
    tables.rows(f"{change} {usual}")


def test_a_check_that_takes_too_long_refuses_the_change_and_that_one_alone(
    api: httpx.Client, few_steps: None
) -> None:
    content = Content(api)
    paths = [content.write(f"c{number}") for number in range(20)]
    schema = content.write("schema", {"items": {"type": "integer"}})
    body = {"application_id": content.id, "schema_id": last(schema), "layers": ["c7"]}
    steps = {"properties": {"a": {"items": {"not": {"type": "null"}}}}}
    assert content.patch({"schema": {"config": steps}}).status_code == 200
    assert api.post(CHECKS, json=body).status_code == 201

    def change(number: int) -> httpx.Response:
        body = {"name": f"c{number}", "config": {"a": [0] * (1000 if number == 7 else 1)}}
        return api.put(paths[number], json=body)

    with ThreadPoolExecutor(20) as clients:
        answers = [*clients.map(change, range(20))]
    assert [answer.status_code for answer in answers] == [200] * 7 + [503] + [200] * 12
    assert answers[7].headers["retry-after"]
    assert content.items()["c7"]["config"] == {}
