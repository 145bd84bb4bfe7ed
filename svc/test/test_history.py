"""Safe edits and history, through real HTTP and in the table."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from psycopg2.extensions import connection, make_dsn

import migrations
from conftest import Server, side_by_side
from test.answers import hold

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json"}
NOWHERE = f"{CONFIGURATIONS}/01ARZ3NDEKTSV4RRFFQ69G5FAV"


class Editor:
    """One configuration, and the requests that change it."""

    def __init__(self, api: httpx.Client, owner: str = "owner") -> None:
        self.api = api
        self.owner = api.post(APPLICATIONS, json={"name": owner}).json()["id"]
        body = {"application_id": self.owner, "name": "production", "config": {"a": 1}}
        self.made = api.post(CONFIGURATIONS, json=body)
        self.id = self.made.json()["id"]
        self.path = self.made.headers["location"]

    def get(self, **headers: str) -> httpx.Response:
        return self.api.get(self.path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def put(self, config: str = "{}", name: str = "production", **headers: str) -> httpx.Response:
        body = f'{{"name": "{name}", "config": {config}}}'
        return self.api.put(self.path, content=body, headers=JSON | headers)

    def patch(self, body: Any, **headers: str) -> httpx.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return self.api.patch(self.path, content=text, headers=MERGE_PATCH | headers)

    def delete(self, **headers: str) -> httpx.Response:
        return self.api.delete(self.path, headers=headers)

    def rollback(self, revision: Any, **headers: str) -> httpx.Response:
        return self.api.post(f"{self.path}/rollback", json={"revision": revision}, headers=headers)

    def revisions(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.api.get(f"{self.path}/revisions", params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def history(self) -> list[tuple[int, str]]:
        return [(one["revision"], one["action"]) for one in reversed(self.revisions())]


@pytest.fixture
def editor(api: httpx.Client) -> Editor:
    return Editor(api)


IF_MATCH = "If-Match"

# Entity tags and preconditions


def test_each_change_has_the_next_revision_as_its_strong_etag(editor: Editor) -> None:
    tags = [
        editor.made.headers["etag"],
        editor.put('{"a": 2}').headers["etag"],
        editor.patch({"comments": "x"}).headers["etag"],
        editor.rollback(1).headers["etag"],
        editor.get().headers["etag"],
    ]
    assert tags == ['"1"', '"2"', '"3"', '"4"', '"4"']
    assert editor.get().headers["cache-control"] == "private, no-cache"


def test_bodies_are_those_of_the_seed(editor: Editor) -> None:
    fields = {"id", "application_id", "name", "comments", "config"}
    for answer in [editor.made, editor.put(), editor.patch({}), editor.rollback(1), editor.get()]:
        assert answer.json().keys() == fields


def test_a_change_that_changes_nothing_keeps_the_revision(editor: Editor) -> None:
    assert editor.put('{ "a" : 1 }').headers["etag"] == '"1"'
    assert editor.patch({"config": {"a": 1, "b": None}}).headers["etag"] == '"1"'
    assert editor.rollback(1).headers["etag"] == '"1"'
    assert editor.history() == [(1, "create")]


def test_one_and_one_point_nought_are_different_documents(editor: Editor) -> None:
    answer = editor.put('{"a": 1.0}')
    assert answer.headers["etag"] == '"2"'
    assert '"config":{"a": 1.0}' in editor.get().text
    assert editor.put('{"a": 1.00}').headers["etag"] == '"3"'


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ('"1"', 304),
        ('W/"1"', 304),
        ("*", 304),
        ('"x", "1"', 304),
        (',"0" ,,"1",', 304),
        ('"2"', 200),
        ('"01"', 200),
        ('"1 1"', 400),
        ("1", 400),
        ('"1', 400),
        ('*, "1"', 400),
        ('w/"1"', 400),
        ("", 400),
    ],
)
def test_a_get_compares_entity_tags_weakly(editor: Editor, given: str, status: int) -> None:
    answer = editor.get(if_none_match=given)
    assert answer.status_code == status
    if status == 304:
        assert answer.content == b""
        assert answer.headers["etag"] == '"1"'
        assert answer.headers["cache-control"] == "private, no-cache"
    assert editor.api.head(editor.path, headers={"If-None-Match": given}).status_code == status


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ('"1"', 200),
        ("*", 200),
        ('"9", "1"', 200),
        ('"2"', 412),
        ('W/"1"', 412),
        ('"01"', 412),
        (f'"{"9" * 40}"', 412),
        ('"x"', 412),
        ("1", 400),
        ('"1" "2"', 400),
    ],
)
def test_a_change_compares_entity_tags_strongly(editor: Editor, given: str, status: int) -> None:
    changes: list[Callable[[], httpx.Response]] = [
        lambda: editor.put('{"a": 2}', **{IF_MATCH: given}),
        lambda: editor.patch({"comments": "new"}, **{IF_MATCH: given}),
        lambda: editor.rollback(1, **{IF_MATCH: given}),
        lambda: editor.delete(**{IF_MATCH: given}),
    ]
    for change in changes:
        if status != 200:
            answer = change()
            assert answer.status_code == status
            assert answer.headers.get("etag") == ('"1"' if status == 412 else None)
    assert editor.history() == [(1, "create")]
    if status == 200:
        assert changes[0]().status_code == 200
        assert editor.history() == [(1, "create"), (2, "update")]


def test_a_change_that_matches_is_made(editor: Editor) -> None:
    assert editor.patch({"comments": "new"}, **{IF_MATCH: '"1"'}).headers["etag"] == '"2"'
    assert editor.rollback(1, **{IF_MATCH: '"2"'}).headers["etag"] == '"3"'
    assert editor.put('{"a": 2}', **{IF_MATCH: '"3"'}).headers["etag"] == '"4"'
    assert editor.delete(**{IF_MATCH: '"4"'}).status_code == 204


def test_two_if_match_lines_are_one_list(editor: Editor) -> None:
    headers = [("If-Match", '"9"'), ("If-Match", '"1"')]
    assert editor.api.delete(editor.path, headers=headers).status_code == 204


def test_a_missing_resource_is_a_404_before_any_precondition(api: httpx.Client) -> None:
    headers = {"If-Match": '"1"'}
    assert api.put(NOWHERE, json={"name": "x", "config": {}}, headers=headers).status_code == 404
    assert api.patch(NOWHERE, content="{}", headers=MERGE_PATCH | headers).status_code == 404
    assert api.delete(NOWHERE, headers=headers).status_code == 404
    rollback = api.post(f"{NOWHERE}/rollback", json={"revision": 1}, headers=headers)
    assert rollback.status_code == 404


def test_two_editors_who_meet_do_not_overwrite_each_other(editor: Editor) -> None:
    tag = editor.get().headers["etag"]
    with ThreadPoolExecutor(16) as clients:
        answers = list(
            clients.map(lambda n: editor.put(f'{{"n": {n}}}', **{IF_MATCH: tag}), range(16))
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 15
    assert {a.headers["etag"] for a in answers} == {'"2"'}


def test_an_application_changes_with_its_list_of_configurations(editor: Editor) -> None:
    path = f"{APPLICATIONS}/{editor.owner}"

    def tag() -> str:
        found: str = editor.api.get(path).headers["etag"]
        return found

    seen = [tag()]
    editor.put('{"other": 1}')
    assert tag() == seen[-1]
    editor.delete()
    seen.append(tag())
    editor.rollback(1)
    seen.append(tag())
    editor.api.put(path, json={"name": "renamed"})
    seen.append(tag())
    assert len(set(seen)) == 4
    assert editor.api.put(path, json={"name": "renamed"}).headers["etag"] == seen[-1]
    assert editor.api.get(path, headers={"If-None-Match": seen[-1]}).status_code == 304
    stale = {"If-Match": seen[0]}
    answer = editor.api.put(path, json={"name": "again"}, headers=stale)
    assert (answer.status_code, answer.headers["etag"]) == (412, seen[-1])
    assert editor.api.delete(path, headers=stale).status_code == 412
    assert editor.api.delete(path, headers={"If-Match": seen[-1]}).status_code == 204


@pytest.fixture(scope="module")
def strict_server(dsn: str) -> Iterator[Server]:
    """A service that requires If-Match, and whose sessions are in another time zone."""
    # PGTZ wins over the time zone that the service asks for, as the role of a pooler may.
    server = Server(DATABASE_URL=dsn, REQUIRE_IF_MATCH="true", PGTZ="Asia/Kolkata")
    with side_by_side(server):
        hold(server.client)
        yield server


@pytest.fixture
def strict(strict_server: Server, editor: Editor) -> Editor:
    """The same configuration as `editor`, through the service that requires If-Match."""
    other = copy(editor)
    other.api = strict_server.client
    return other


def test_where_if_match_is_required_a_change_without_it_is_a_428(strict: Editor) -> None:
    for answer in [strict.put(), strict.patch({}), strict.delete(), strict.rollback(1)]:
        assert answer.status_code == 428
        assert answer.headers["etag"] == '"1"'
    application = f"{APPLICATIONS}/{strict.owner}"
    assert strict.api.put(application, json={"name": "x"}).status_code == 428
    assert strict.api.delete(application).status_code == 428
    assert strict.put('{"a": 5}', **{IF_MATCH: '"1"'}).status_code == 200
    assert strict.put(**{IF_MATCH: "*"}).status_code == 200


def test_a_missing_resource_comes_before_428_that_before_412_and_that_before_409(
    strict: Editor,
) -> None:
    body = {"application_id": strict.owner, "name": "taken"}
    assert strict.api.post(CONFIGURATIONS, json=body).status_code == 201
    assert strict.api.post(APPLICATIONS, json={"name": "taken"}).status_code == 201
    strict.put(name="other", **{IF_MATCH: '"1"'})
    application, nowhere = f"{APPLICATIONS}/{strict.owner}", copy(strict)
    nowhere.path = NOWHERE
    changes: list[Callable[[Editor, dict[str, str]], httpx.Response]] = [
        lambda editor, headers: editor.put(name="taken", **headers),
        lambda editor, headers: editor.patch({"name": "taken"}, **headers),
    ]
    for change in changes:
        assert change(nowhere, {}).status_code == 404
        assert change(nowhere, {IF_MATCH: '"9"'}).status_code == 404
        assert change(strict, {}).status_code == 428
        assert change(strict, {IF_MATCH: '"9"'}).status_code == 412
        assert change(strict, {IF_MATCH: '"2"'}).status_code == 409
    for headers, status in [({}, 428), ({IF_MATCH: '"9"'}, 412), ({IF_MATCH: "*"}, 409)]:
        answer = strict.api.put(application, json={"name": "taken"}, headers=headers)
        assert answer.status_code == status
    # The name that a rollback brings back may be taken by then too.
    body = {"application_id": strict.owner, "name": "production"}
    assert strict.api.post(CONFIGURATIONS, json=body).status_code == 201
    for headers, status in [({}, 428), ({IF_MATCH: '"9"'}, 412), ({IF_MATCH: '"2"'}, 409)]:
        assert strict.rollback(1, **headers).status_code == status
    assert nowhere.rollback(1).status_code == 404
    assert nowhere.delete().status_code == 404


def test_what_was_deleted_comes_back_without_if_match_also_where_it_is_required(
    strict: Editor,
) -> None:
    assert strict.delete(**{IF_MATCH: '"1"'}).status_code == 204
    for given in ("*", '"1"', '"2"'):
        answer = strict.rollback(1, **{IF_MATCH: given})
        assert (answer.status_code, answer.headers.get("etag")) == (412, None)
    answer = strict.rollback(1)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"3"')
    assert strict.history() == [(1, "create"), (2, "delete"), (3, "rollback")]
    assert strict.rollback(1).status_code == 428


# Merge patch

RFC_7396 = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", "null"),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_the_examples_of_rfc_7396(
    editor: Editor, db: connection, target: str, patch: str, result: str
) -> None:
    with db.cursor() as cursor:
        cursor.execute("select merge_patch(%s, %s)", (target, patch))
        assert cursor.fetchone() == (json.loads(result),)
    editor.put(f'{{"x": {target}}}')
    answer = editor.patch(f'{{"config": {{"x": {patch}}}}}')
    expected = {} if result == "null" else {"x": json.loads(result)}
    assert answer.json()["config"] == expected


def test_a_patch_keeps_every_digit_of_what_it_does_not_name(editor: Editor) -> None:
    editor.put('{"keep": [1.10, 12345678901234567890.0], "drop": 1, "deep": {"a": 1.0, "b": 2}}')
    answer = editor.patch('{"config": {"drop": null, "deep": {"b": 0.10}}}')
    assert (
        '"config":{"deep": {"a": 1.0, "b": 0.10}, "keep": [1.10, 12345678901234567890.0]}'
        in answer.text
    )


def test_a_patch_leaves_out_what_it_does_not_name(editor: Editor) -> None:
    assert editor.patch({"comments": "new"}).json()["comments"] == "new"
    renamed = editor.patch({"name": "renamed"}).json()
    assert (renamed["name"], renamed["comments"], renamed["config"]) == ("renamed", "new", {"a": 1})
    assert editor.patch({"comments": None}).json()["comments"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"config": None}, "/config"),
        ({"config": [1]}, "/config"),
        ({"name": None}, "/name"),
        ({"name": " "}, "/name"),
        ({"comments": 5}, "/comments"),
        ({"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "/id"),
        ({"id": None}, "/id"),
        ({"application_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "/application_id"),
        ({"revision": 5}, "/revision"),
    ],
)
def test_a_patch_must_make_a_valid_configuration(editor: Editor, body: Any, pointer: str) -> None:
    answer = editor.patch(body)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert editor.history() == [(1, "create")]


def test_a_patch_of_another_media_type_is_told_the_right_one(editor: Editor) -> None:
    answer = editor.api.patch(editor.path, json={"name": "x"})
    assert answer.status_code == 415
    assert answer.headers["accept-patch"] == "application/merge-patch+json"


def test_a_patch_that_makes_the_document_too_large_is_a_413(editor: Editor) -> None:
    editor.put(json.dumps({"a": "x" * 700_000}))
    assert editor.patch({"config": {"b": "y" * 700_000}}).status_code == 413
    assert editor.history()[-1] == (2, "update")


def test_a_patch_may_take_the_name_of_nobody_else(editor: Editor) -> None:
    body = {"application_id": editor.owner, "name": "other"}
    editor.api.post(CONFIGURATIONS, json=body)
    assert editor.patch({"name": "other"}).status_code == 409


def test_forty_patches_of_different_keys_at_once_all_survive(editor: Editor) -> None:
    with ThreadPoolExecutor(40) as clients:
        list(clients.map(lambda n: editor.patch({"config": {f"key {n}": n}}), range(40)))
    answer = editor.get()
    assert answer.json()["config"] == {"a": 1} | {f"key {n}": n for n in range(40)}
    assert answer.headers["etag"] == '"41"'


# History


def test_every_change_is_in_the_history_newest_first(editor: Editor) -> None:
    editor.put('{"a": 2}')
    editor.patch({"name": "renamed"})
    editor.rollback(1)
    editor.delete()
    found = editor.revisions()
    assert [(one["revision"], one["action"], one["name"]) for one in found] == [
        (5, "delete", "production"),
        (4, "rollback", "production"),
        (3, "update", "renamed"),
        (2, "update", "production"),
        (1, "create", "production"),
    ]
    assert {one["actor"] for one in found} == {"anonymous"}
    members = {"revision", "action", "actor", "recorded_at", "name", "note"}
    assert all(one.keys() == members for one in found)


def test_a_time_is_spelled_alike_in_every_answer_whatever_the_time_zone_of_the_session(
    strict: Editor, db: connection
) -> None:
    with db.cursor() as cursor:
        # A fraction that ends in zeros. History can be changed only without its triggers.
        cursor.execute(
            """
            alter table configuration_revisions disable trigger user;
            update configuration_revisions set recorded_at = '2026-01-02 03:04:05.0006+00';
            alter table configuration_revisions enable trigger user
            """
        )
    [revision] = strict.api.get(f"{strict.path}/revisions").json()
    changes = strict.api.get(f"{APPLICATIONS}/{strict.owner}/changes").json()["changes"]
    whole = strict.api.get(f"{strict.path}/revisions/1").json()
    found = [one["recorded_at"] for one in (revision, *changes, whole)]
    assert found == ["2026-01-02T03:04:05.000600Z"] * 3


def test_the_revisions_are_paged_by_their_links(editor: Editor) -> None:
    for n in range(6):
        editor.put(f'{{"n": {n}}}')
    seen, path = [], f"{editor.path}/revisions?limit=3"
    while path:
        answer = editor.api.get(path)
        seen += [one["revision"] for one in answer.json()]
        path = answer.links.get("next", {}).get("url", "")
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert [one["revision"] for one in editor.revisions(before=3)] == [2, 1]
    assert editor.revisions(before=1) == []
    for query in ["before=0", "before=x", "limit=0", "after=1"]:
        assert editor.api.get(f"{editor.path}/revisions?{query}").status_code == 400
    assert editor.api.get(f"{NOWHERE}/revisions").status_code == 404


def test_a_revision_is_the_whole_configuration_as_it_was_and_never_changes(
    editor: Editor,
) -> None:
    editor.put('{"digits": 1.10}', name="then")
    editor.put('{"digits": 1.100}', name="now")
    answer = editor.api.get(f"{editor.path}/revisions/2")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert '"config":{"digits": 1.10}' in answer.text
    then = answer.json()
    listed = next(one for one in editor.revisions() if one["revision"] == 2)
    assert (then["id"], then["application_id"]) == (editor.id, editor.owner)
    assert (then["name"], then["action"], then["actor"]) == ("then", "update", listed["actor"])
    assert editor.api.get(f"{editor.path}/revisions/9").status_code == 404
    for revision in ["0", "-1", "x", "1.0", "9" * 30]:
        answer = editor.api.get(f"{editor.path}/revisions/{revision}")
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "revision")


def test_what_is_typed_into_psql_is_in_the_history(editor: Editor, db: connection) -> None:
    with db.cursor() as cursor:
        cursor.execute("update configurations set config = '{\"typed\": 1}', revision = 77")
        cursor.execute("delete from configurations")
    assert editor.history() == [(1, "create"), (2, "update"), (3, "delete")]
    assert {one["actor"] for one in editor.revisions()} == {"anonymous"}
    last = editor.api.get(f"{editor.path}/revisions/3").json()
    assert last["config"] == {"typed": 1}


def test_one_statement_that_changes_many_records_and_tells_each(
    api: httpx.Client, db: connection
) -> None:
    editors = [Editor(api, owner) for owner in ("one", "two")]
    applications = [f"{APPLICATIONS}/{editor.owner}" for editor in editors]
    before = [api.get(path).headers["etag"] for path in applications]
    with db.cursor() as cursor:
        cursor.execute(
            "insert into configurations (id, application_id, name, config)"
            " select '01BRZ3NDEKTSV4RRFFQ69G5FA' || n, id, 'more-' || n, '{}'"
            " from applications, generate_series(0, 3) as n where name = 'one' and n < 2"
            " or name = 'two' and n >= 2;"
            "update configurations set config = '{\"a\": 1}' where name <> 'more-1';"
            "listen changes; update configurations set comments = 'all';"
            "update configurations set comments = 'all'"
        )
        db.poll()
        payloads = [notification.payload.split() for notification in db.notifies]
        heard = {(owner, changed) for owner, *ids in payloads for changed in ids}
        cursor.execute("select application_id, id from configurations")
        assert heard == set(cursor.fetchall())
        cursor.execute("unlisten changes; delete from configurations")
        cursor.execute(
            "select array_agg(action order by sequence) from configuration_revisions"
            " where application_id = %s group by configuration_id order by configuration_id",
            [editors[0].owner],
        )
        actions = sorted(actions for (actions,) in cursor.fetchall())
    assert actions == [
        ["create", "update", "delete"],
        ["create", "update", "delete"],
        ["create", "update", "update", "delete"],
    ]
    after = [api.get(path).headers["etag"] for path in applications]
    # One revision for the statement that created some, and one for that which deleted all.
    assert [int(new[1:-1]) - int(old[1:-1]) for old, new in zip(before, after, strict=True)] == [
        2,
        2,
    ]


def test_what_would_record_a_revision_twice_is_refused(editor: Editor, db: connection) -> None:
    editor.put('{"a": 2}')
    with pytest.raises(psycopg2.errors.UniqueViolation), db.cursor() as cursor:
        cursor.execute(
            "with deleted as (delete from configurations returning *)"
            " insert into configurations (id, application_id, name, config)"
            " select id, application_id, name, '{}' from deleted"
        )
    assert editor.history() == [(1, "create"), (2, "update")]


def test_a_deleted_application_leaves_the_history_of_its_configurations(editor: Editor) -> None:
    editor.put('{"last": 1}')
    assert editor.api.delete(f"{APPLICATIONS}/{editor.owner}").status_code == 204
    assert editor.history() == [(1, "create"), (2, "update"), (3, "delete")]
    assert editor.api.get(f"{editor.path}/revisions/3").json()["config"] == {"last": 1}


@pytest.mark.parametrize(
    "statement",
    [
        "truncate configurations cascade",
        "truncate applications cascade",
        "truncate configuration_revisions",
        "delete from configuration_revisions",
        "update configuration_revisions set actor = 'nobody'",
        "update configurations set id = '01ARZ3NDEKTSV4RRFFQ69G5FAV'",
    ],
)
def test_the_database_refuses_to_forget(editor: Editor, db: connection, statement: str) -> None:
    with db.cursor() as cursor, pytest.raises(psycopg2.IntegrityError):
        cursor.execute(statement)
    assert editor.history() == [(1, "create")]


def test_only_the_setting_trims_history(dsn: str, editor: Editor) -> None:
    for n in range(5):
        editor.put(f'{{"n": {n}}}')
    short = Server(DATABASE_URL=dsn, HISTORY_KEEP_REVISIONS="3").start()
    try:
        short.client.put(editor.path, json={"name": "production", "config": {}})
    finally:
        short.stop()
    assert [one["revision"] for one in editor.revisions()] == [7, 6, 5]
    assert editor.rollback(1).status_code == 400
    assert editor.put('{"on": 1}').headers["etag"] == '"8"'


def test_a_database_older_than_history_comes_through(dsn: str, db: connection) -> None:
    name = f"{db.info.dbname}_old"
    with db.cursor() as cursor:
        cursor.execute(f'drop database if exists "{name}" with (force)')
        cursor.execute(f'create database "{name}"')
    old = psycopg2.connect(make_dsn(dsn, dbname=name))
    first = Path(__file__).parents[1] / "migrations/001_initial_schema.sql"
    application, configuration = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW"
    with old, old.cursor() as cursor:
        cursor.execute(first.read_text())
        cursor.execute(
            "create table migrations (number integer primary key, name text not null,"
            " checksum text not null, applied_at timestamptz not null default now())"
        )
        migration = migrations.load()[0]
        cursor.execute(
            "insert into migrations (number, name, checksum) values (1, %s, %s)",
            (migration.name, migration.checksum),
        )
        cursor.execute("insert into applications values (%s, 'a', null)", (application,))
        cursor.execute(
            "insert into configurations values (%s, %s, 'c', 'old', '{\"a\": 1.10}')",
            (configuration, application),
        )
    applied = list(migrations.migrate(make_dsn(dsn, dbname=name)))
    assert applied[0].startswith("002")
    with old, old.cursor() as cursor:
        cursor.execute("select revision from configurations")
        assert cursor.fetchall() == [(1,)]
        cursor.execute(
            "select configuration_id, revision, action, actor, comments, config::text"
            " from configuration_revisions"
        )
        expected = (configuration, 1, "create", "anonymous", "old", '{"a": 1.10}')
        assert cursor.fetchall() == [expected]
    old.close()
    with db.cursor() as cursor:
        cursor.execute(f'drop database "{name}" with (force)')


# Rollback


def test_a_rollback_makes_a_new_revision_equal_to_the_old_to_the_last_digit(
    editor: Editor,
) -> None:
    texts = ['{"n": 1.10}', '{"n": 1.1}', '{"n": 12345678901234567890.00}', '{"n": "ü"}']
    for number, text in enumerate(texts):
        editor.put(text, name=f"name {number}")
    for number, text in enumerate(texts):
        answer = editor.rollback(number + 2)
        assert (answer.status_code, answer.json()["name"]) == (200, f"name {number}")
        assert f'"config":{text}' in editor.get().text
    assert editor.history()[-1] == (9, "rollback")


def test_a_deleted_configuration_comes_back_by_rollback(editor: Editor) -> None:
    editor.put('{"a": 2}')
    editor.delete()
    assert editor.get().status_code == 404
    for tag in ['"3"', "*"]:
        answer = editor.rollback(1, **{IF_MATCH: tag})
        assert (answer.status_code, answer.headers.get("etag")) == (412, None)
    answer = editor.rollback(2)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"4"')
    assert editor.get().json()["config"] == {"a": 2}
    assert editor.history()[2:] == [(3, "delete"), (4, "rollback")]
    assert editor.put('{"a": 3}').headers["etag"] == '"5"'
    assert editor.history()[-1] == (5, "update")


def test_ten_rollbacks_at_once_bring_a_deleted_configuration_back_once(editor: Editor) -> None:
    editor.delete()
    with ThreadPoolExecutor(10) as clients:
        answers = list(clients.map(lambda _: editor.rollback(1), range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert editor.history() == [(1, "create"), (2, "delete"), (3, "rollback")]


def test_a_rollback_that_cannot_be_is_refused(editor: Editor) -> None:
    for revision in [99, 0, -1, "1", 1.0, None, 2**63]:
        answer = editor.rollback(revision)
        assert answer.status_code == 400, revision
        assert answer.json()["errors"][0]["pointer"] == "/revision"
    editor.delete()
    body = {"application_id": editor.owner, "name": "production"}
    taker = editor.api.post(CONFIGURATIONS, json=body)
    assert "name" in editor.rollback(1).json()["detail"]
    assert editor.rollback(1).status_code == 409
    editor.api.delete(taker.headers["location"])
    editor.api.delete(f"{APPLICATIONS}/{editor.owner}")
    answer = editor.rollback(1)
    assert (answer.status_code, answer.json()["detail"]) == (409, "Its application was deleted.")
    assert editor.history() == [(1, "create"), (2, "delete")]


# Diff


def documents(seed: int) -> Iterator[Any]:
    """Random documents over few keys and values, so that two of them share much."""
    choice = random.Random(seed)  # noqa: S311

    def value(depth: int) -> Any:
        kind = choice.randrange(8 if depth < 4 else 5)
        if kind == 5:
            return [value(depth + 1) for _ in range(choice.randrange(4))]
        if kind > 5:
            return members(depth + 1)
        return [None, True, choice.randrange(3), choice.choice(["", "x"]), 0.5][kind]

    def members(depth: int) -> dict[str, Any]:
        keys = ["", "a", "b/c", "m~n", "~1", " ", "ü"]
        return {key: value(depth) for key in keys if choice.random() < 0.5}

    while True:
        yield members(0)


def apply(document: Any, operations: list[dict[str, Any]]) -> Any:
    """What an RFC 6902 patch of add, remove and replace makes of the document."""
    document = json.loads(json.dumps(document))
    for operation in operations:
        *parents, last = [
            step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]
        ]
        place = document
        for step in parents:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if isinstance(place, list):
            at = int(last)
            assert at <= len(place) if operation["op"] == "add" else at < len(place)
            if operation["op"] == "add":
                place.insert(at, operation["value"])
            elif operation["op"] == "remove":
                del place[at]
            else:
                place[at] = operation["value"]
        elif operation["op"] == "remove":
            del place[last]
        else:
            assert (operation["op"] == "add") == (last not in place)
            place[last] = operation["value"]
    return document


def test_a_diff_turns_one_of_1000_random_pairs_into_the_other(db: connection) -> None:
    source = documents(20)
    with db.cursor() as cursor:
        for _ in range(1000):
            one, other = next(source), next(source)
            cursor.execute(
                "select coalesce(jsonb_agg(o), '[]') from json_patch(%s, %s) as o",
                (json.dumps(one), json.dumps(other)),
            )
            [(operations,)] = cursor.fetchall()
            assert json.dumps(apply(one, operations), sort_keys=True) == json.dumps(
                other, sort_keys=True
            )


MANY, LONG = 50_000, "k" * 30_000


@pytest.mark.parametrize(
    ("source", "target", "path"),
    [
        ({"list": list(range(MANY))}, {"list": list(range(1, MANY))}, "/list"),
        ({LONG: [0] * MANY}, {LONG: [1] * MANY}, f"/{LONG}"),
        ({}, {str(n): n for n in range(MANY)}, ""),
        ({"list": list(range(MANY))}, {"list": [*range(MANY - 1), "last"]}, f"/list/{MANY - 1}"),
    ],
    ids=["a shifted list", "a long path", "a new object", "one element"],
)
def test_what_differs_almost_everywhere_is_replaced_whole(
    db: connection, source: dict[str, Any], target: dict[str, Any], path: str
) -> None:
    with db.cursor() as cursor:
        cursor.execute(
            "select jsonb_agg(o) from json_patch(%s, %s) as o",
            (json.dumps(source), json.dumps(target)),
        )
        [([operation],)] = cursor.fetchall()
    assert (operation["op"], operation["path"]) == ("replace", path)
    if path:
        assert apply(source, [operation]) == target
    else:
        assert operation["value"] == target


def test_the_diff_of_two_revisions_is_a_json_patch(editor: Editor) -> None:
    editor.put('{"a": 1.0, "list": [1, 2, 3], "k/~": null}')
    editor.put('{"list": [1, 5]}', name="renamed")
    answer = editor.api.get(f"{editor.path}/diff?from=1&to=2")
    assert answer.headers["content-type"] == "application/json-patch+json"
    assert answer.text == (
        '[{"op": "replace", "path": "/a", "value": 1.0},'
        ' {"op": "add", "path": "/k~1~0", "value": null},'
        ' {"op": "add", "path": "/list", "value": [1, 2, 3]}]'
    )
    back = editor.api.get(f"{editor.path}/diff?from=3&to=2").json()
    assert {operation["path"] for operation in back} == {"/a", "/k~1~0", "/list/1", "/list/2"}
    assert editor.api.get(f"{editor.path}/diff?from=2&to=2").json() == []
    editor.delete()
    assert editor.api.get(f"{editor.path}/diff?from=3&to=4").json() == []
    assert editor.api.get(f"{editor.path}/diff?from=1&to=9").status_code == 404
    for query in ["from=0&to=1", "from=x&to=1", "from=1&to=2&to=3"]:
        assert editor.api.get(f"{editor.path}/diff?{query}").status_code == 400
