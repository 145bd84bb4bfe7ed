"""The configurations of an application as one document: read, changed and put back together."""

import json
import random
from collections.abc import Iterator
from copy import copy, deepcopy
from typing import Any, NamedTuple

import httpx
import psycopg2
import pytest
from psycopg2.extensions import connection

from conftest import Server, Tables, side_by_side
from edge.tokens import hash_of
from test.answers import hold
from test.test_delivery import wait, watching
from test.test_dry_run import heard, listen
from wire.types import new_ulid

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
JSON = {"Content-Type": "application/json"}
NOWHERE = f"{APPLICATIONS}/01ARZ3NDEKTSV4RRFFQ69G5FAV/content"
DOCUMENT_BYTES, CONTENT_BYTES = 1024, 4096
ALL, OWN, READER = "all-secret", "own-secret", "reader-secret"
IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"


class Content:
    """The content of one application, and the requests that read and change it."""

    def __init__(self, api: httpx.Client, name: str = "billing") -> None:
        self.api = api
        self.id = api.post(APPLICATIONS, json={"name": name}).json()["id"]
        self.application = f"{APPLICATIONS}/{self.id}"
        self.path = f"{self.application}/content"

    def get(self, **headers: str) -> httpx.Response:
        return self.api.get(self.path, headers=headers)

    def patch(self, configurations: Any, query: str = "", **headers: str) -> httpx.Response:
        return self._send("PATCH", configurations, query, MERGE_PATCH | headers)

    def put(
        self, configurations: Any, query: str = "", tag: str = "*", **headers: str
    ) -> httpx.Response:
        return self._send("PUT", configurations, query, JSON | {IF_MATCH: tag} | headers)

    def _send(
        self, method: str, configurations: Any, query: str, headers: dict[str, str]
    ) -> httpx.Response:
        """The text of the configurations is sent as it is."""
        given = configurations if isinstance(configurations, str) else json.dumps(configurations)
        body = f'{{"configurations": {given}}}'
        return self.api.request(method, f"{self.path}?{query}", content=body, headers=headers)

    def items(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get().json()["configurations"]
        return found

    def steps(self) -> list[tuple[str, int, str]]:
        """What history has: of each change the name, the revision and the action."""
        return [(one["name"], one["revision"], one["action"]) for one in self.changes()["changes"]]

    def changes(self, **query: int) -> dict[str, Any]:
        answer = self.api.get(f"{self.application}/changes", params=query)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    def write(self, name: str, config: Any = None) -> str:
        """Creates a configuration by itself; its path."""
        body = {"application_id": self.id, "name": name, "config": config or {}}
        answer = self.api.post(CONFIGURATIONS, json=body)
        assert answer.status_code == 201
        path: str = answer.headers["location"]
        return path


@pytest.fixture
def content(api: httpx.Client) -> Content:
    return Content(api)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def limited_server(dsn: str) -> Iterator[Server]:
    """Another instance, whose limits are small, and which requires If-Match, and tokens: two of
    them are confined to `billing`."""
    limits = {"MAX_BODY_BYTES": str(DOCUMENT_BYTES), "MAX_CONTENT_BYTES": str(CONTENT_BYTES)}
    tokens = [
        f"all:write:{hash_of(ALL.encode())}",
        f"own:write:{hash_of(OWN.encode())}:billing",
        f"reader:read:{hash_of(READER.encode())}:billing",
    ]
    server = Server(
        DATABASE_URL=dsn, REQUIRE_IF_MATCH="true", API_TOKENS=",".join(tokens), **limits
    )
    with side_by_side(server):
        server.client.headers.update(bearer(ALL))
        hold(server.client)
        yield server


@pytest.fixture
def limited(content: Content, limited_server: Server) -> Content:
    """The same content as `content`, through that instance."""
    other = copy(content)
    other.api = limited_server.client
    return other


def pointers(refused: httpx.Response) -> list[str]:
    return [one["pointer"] for one in refused.json()["errors"]]


def names(answer: httpx.Response) -> list[str]:
    return [one["name"] for one in answer.json()["changes"]]


# Reading


def test_the_content_is_every_configuration_by_its_name_to_the_last_digit(
    content: Content,
) -> None:
    numbers = '{"a": 1.10, "b": 12345678901234567890, "c": 0.12345678901234567890}'
    content.put(f'{{"b": {{"config": {numbers}}}, "a": {{"comments": "é", "config": {{}}}}}}')
    answer = content.get()
    assert answer.text == (
        '{"sequence":2,"configurations":{"a":{"revision":1,"comments":"é","config":{}},'
        f'"b":{{"revision":1,"comments":null,"config":{numbers}}}}}}}'
    )
    assert answer.headers["etag"] == '"2"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert content.api.get(f"{content.path}/").text == answer.text


def test_before_the_first_change_the_content_is_empty_and_at_sequence_0(content: Content) -> None:
    answer = content.get()
    assert answer.text == '{"sequence":0,"configurations":{}}'
    assert answer.headers["etag"] == '"0"'
    assert content.put({"a": {"config": {}}}, tag='"0"').status_code == 200


def test_the_sequence_counts_every_change_of_the_application_and_no_other(
    content: Content,
) -> None:
    path = content.write("a")
    Content(content.api, "other").write("a")
    tags = [content.get().headers["etag"]]
    content.api.put(path, json={"name": "b", "config": {}})
    tags.append(content.get().headers["etag"])
    assert content.items().keys() == {"b"}
    content.api.delete(path)
    answer = content.get()
    assert [*tags, answer.headers["etag"]] == ['"1"', '"2"', '"3"']
    assert answer.json() == {"sequence": 3, "configurations": {}}
    content.api.put(content.application, json={"name": "renamed"})
    assert content.get().headers["etag"] == '"3"'


def test_names_are_in_the_order_of_their_code_points(content: Content) -> None:
    given = ["😀", "ﬀ", "a", "Z", "é", '"quoted" \\', "aa", "a b", "𐀀"]
    done = content.put({name: {"config": {}} for name in given})
    assert names(done) == sorted(given)
    assert list(content.items()) == sorted(given)
    done = content.patch(dict.fromkeys(given))
    assert names(done) == sorted(given)


def test_head_is_like_get_without_the_body(content: Content) -> None:
    content.write("a")
    answer, head = content.get(), content.api.head(content.path)
    assert (head.status_code, head.content) == (200, b"")
    for header in ["etag", "cache-control", "content-type", "content-length"]:
        assert head.headers[header] == answer.headers[header]


@pytest.mark.parametrize(
    ("given", "status"),
    [('"1"', 304), ('W/"1"', 304), ('"9", "1"', 304), ("*", 304), ('"0"', 200), ("1", 400)],
)
def test_what_the_client_has_is_not_sent_again(content: Content, given: str, status: int) -> None:
    content.write("a")
    answer = content.get(**{IF_NONE_MATCH: given})
    assert answer.status_code == status
    if status == 304:
        assert (answer.content, answer.headers["etag"]) == (b"", '"1"')
    head = content.api.head(content.path, headers={IF_NONE_MATCH: given})
    assert head.status_code == status


def test_a_watcher_gets_the_content_when_it_changes(content: Content, limited: Content) -> None:
    content.write("a")
    # Through another instance over the same database.
    with watching(lambda: limited.get(**wait('"1"')), limited.api) as answer:
        content.patch({"a": {"config": {"n": 1}}, "b": {}})
        result = answer.result(10)
    assert (result.status_code, result.headers["etag"]) == (200, '"3"')
    assert result.json()["configurations"].keys() == {"a", "b"}
    assert result.headers["preference-applied"] == "wait=30"


def test_the_end_of_the_application_ends_the_wait_with_a_404(content: Content) -> None:
    content.write("a")
    with watching(lambda: content.get(**wait('"1"')), content.api) as answer:
        content.api.delete(content.application)
        assert answer.result(10).status_code == 404


def test_a_wait_in_vain_ends_with_a_304_and_not_every_request_waits(content: Content) -> None:
    content.write("a")
    vain = content.get(**wait('"1"', 1))
    assert (vain.status_code, vain.headers["preference-applied"]) == (304, "wait=1")
    for headers, status in [(wait('"0"'), 200), ({"Prefer": "wait=30"}, 200), (wait("*"), 304)]:
        answer = content.api.get(content.path, headers=headers, timeout=5)
        assert answer.status_code == status
        assert answer.headers["preference-applied"] == "wait=30"
    assert content.api.head(content.path, headers=wait('"1"'), timeout=5).status_code == 304


def test_the_content_of_no_application_is_a_404(content: Content) -> None:
    nowhere = copy(content)
    nowhere.path = NOWHERE
    answers = [nowhere.get(), nowhere.patch({"a": {}}), nowhere.put({}, tag='"7"')]
    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT"])
def test_an_id_that_is_none_and_an_unknown_parameter_are_refused(
    content: Content, method: str
) -> None:
    headers = MERGE_PATCH if method == "PATCH" else JSON
    body = '{"configurations": {}}' if method != "GET" else None
    for path, parameter in [
        (f"{APPLICATIONS}/x/content", "id"),
        (f"{content.path}?x=1", "x"),
    ]:
        refused = content.api.request(method, path, content=body, headers=headers)
        assert refused.status_code == 400
        assert [one["parameter"] for one in refused.json()["errors"]] == [parameter]


# A merge patch


def test_a_patch_deletes_by_null_creates_what_is_unknown_and_merges_the_rest(
    content: Content,
) -> None:
    content.put(
        '{"a": {"comments": "kept", "config": {"x": 1.10, "y": {"z": 1, "old": 2}}},'
        ' "b": {"config": {}}, "c": {"comments": "old", "config": {"x": 1}}}'
    )
    done = content.patch(
        '{"a": {"config": {"y": {"z": 1.0, "old": null}, "new": [null]}}, "b": null,'
        ' "c": {"comments": null}, "d": {"comments": "new"}, "nobody": null}'
    )
    assert done.text == (
        '{"sequence":7,"changes":['
        '{"name":"a","action":"update","revision":2,"patch":'
        '[{"op": "replace", "path": "/y/z", "value": 1.0},'
        ' {"op": "remove", "path": "/y/old"},'
        ' {"op": "add", "path": "/new", "value": [null]}]},'
        '{"name":"b","action":"delete","revision":2,"patch":[]},'
        '{"name":"c","action":"update","revision":2,"patch":[]},'
        '{"name":"d","action":"create","revision":1,"patch":[]}]}'
    )
    assert done.headers["etag"] == '"7"'
    assert content.get().text == (
        '{"sequence":7,"configurations":{'
        '"a":{"revision":2,"comments":"kept","config":'
        '{"x": 1.10, "y": {"z": 1.0}, "new": [null]}},'
        '"c":{"revision":2,"comments":null,"config":{"x": 1}},'
        '"d":{"revision":1,"comments":"new","config":{}}}}'
    )


def test_what_a_patch_creates_is_merged_into_nothing(content: Content) -> None:
    config = {"a": None, "b": {"c": None, "d": [None]}, "e": {"f": {"g": None}}}
    done = content.patch({"new": {"comments": None, "config": config}})
    made = {"b": {"d": [None]}, "e": {"f": {}}}
    expected = {"revision": 1, "comments": None, "config": made}
    assert content.items() == {"new": expected}
    operations = done.json()["changes"][0]["patch"]
    assert applied({}, operations) == made


def test_an_item_may_say_at_which_revision_the_configuration_must_be(content: Content) -> None:
    content.put({name: {"config": {}} for name in "abc"})
    before = content.get().text
    given = {
        "a": {"revision": 1, "config": {"n": 1}},
        "b": {"revision": 0},
        "c": {"revision": 2},
        "d/~": {"revision": 1},
        "e": {"revision": 0},
    }
    refused = content.patch(given)
    assert (refused.status_code, refused.headers["etag"]) == (412, '"3"')
    assert pointers(refused) == [f"/configurations/{name}" for name in ["b", "c", "d~1~0"]]
    assert content.get().text == before
    done = content.patch({name: given[name] for name in "ae"})
    assert [(one["name"], one["revision"]) for one in done.json()["changes"]] == [
        ("a", 2),
        ("e", 1),
    ]
    # As a precondition of what does not change, too.
    assert content.patch({"a": {"revision": 1}, "f": {}}).status_code == 412
    assert names(content.patch({"a": {"revision": 2}, "f": {}})) == ["f"]


def test_of_many_items_at_fault_the_first_twenty_are_told(content: Content) -> None:
    refused = content.patch({f"c{number}": {"revision": 1} for number in range(30)})
    expected = sorted(f"/configurations/c{number}" for number in range(30))[:20]
    assert (refused.status_code, pointers(refused)) == (412, expected)


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ("{}", ["/configurations"]),
        ('{"configurations": {}, "sequence": 3}', ["/sequence"]),
        ('{"configurations": null}', ["/configurations"]),
        ('{"configurations": []}', ["/configurations"]),
        ('{"configurations": {"a": 1}}', ["/configurations/a"]),
        ('{"configurations": {"a": {"config": null}}}', ["/configurations/a/config"]),
        ('{"configurations": {"a": {"config": []}}}', ["/configurations/a/config"]),
        ('{"configurations": {"a": {"comments": 1}}}', ["/configurations/a/comments"]),
        ('{"configurations": {"a": {"name": "b"}}}', ["/configurations/a/name"]),
        ('{"configurations": {"a": {"revision": -1}}}', ["/configurations/a/revision"]),
        ('{"configurations": {"a": {"revision": "1"}}}', ["/configurations/a/revision"]),
        ('{"configurations": {"a": {"revision": null}}}', ["/configurations/a/revision"]),
        ('{"configurations": {" a": {}}}', ["/configurations/ a"]),
        ('{"configurations": {" a": null}}', ["/configurations/ a"]),
        ('{"configurations": {"": {}}}', ["/configurations/"]),
        ('{"configurations": {"a/~": {"config": {"x": NaN}}}}', ["/configurations/a~1~0/config/x"]),
        (
            '{"configurations": {"a": {"config": {"x": 1, "x": 2}}, "b": {"x": 1}}}',
            ["/configurations/a/config/x"],
        ),
        ('{"configurations": {"a": {}, "a": null}}', ["/configurations/a"]),
        ("[]", [""]),
        ("x", [""]),
    ],
)
def test_a_patch_that_is_malformed_is_refused_with_pointers(
    content: Content, body: str, faults: list[str]
) -> None:
    refused = content.api.patch(content.path, content=body, headers=MERGE_PATCH)
    assert (refused.status_code, pointers(refused)) == (400, faults)
    assert content.steps() == []


def test_a_patch_of_another_media_type_is_told_the_right_one(content: Content) -> None:
    refused = content.patch({}, **JSON)
    assert refused.status_code == 415
    assert refused.headers["accept-patch"] == "application/merge-patch+json"


def test_if_match_names_the_sequence_that_a_patch_starts_from(content: Content) -> None:
    content.write("a")
    for tag in ['"0"', '"2"', 'W/"1"', '"x"']:
        refused = content.patch({"b": {}}, **{IF_MATCH: tag})
        assert (refused.status_code, refused.headers["etag"]) == (412, '"1"')
    assert content.patch({"b": {}}, **{IF_MATCH: "1"}).status_code == 400
    assert content.patch({"b": {}}, **{IF_MATCH: '"9", "1"'}).headers["etag"] == '"2"'
    assert content.patch({"c": {}}, **{IF_MATCH: "*"}).headers["etag"] == '"3"'
    assert content.patch({"d": {}}).headers["etag"] == '"4"'


def test_where_if_match_is_required_a_patch_needs_it_too(limited: Content) -> None:
    refused = limited.patch({"a": {}})
    assert (refused.status_code, refused.headers["etag"]) == (428, '"0"')
    assert limited.patch({"a": {}}, **{IF_MATCH: '"0"'}).status_code == 200
    assert limited.patch({"b": {}}, **{IF_MATCH: "*"}).status_code == 200


# The whole wanted state


def test_a_put_makes_the_content_what_it_says(content: Content) -> None:
    kept, gone = content.write("a", {"x": 1, "y": 1}), content.write("b")
    content.write("c", {"x": 1})
    done = content.put(
        '{"d": {"comments": "new", "config": {"x": 1.10, "n": null}}, "a": {"config": {"y": 1.0}},'
        ' "c": {"config": {"x": 1}}}',
        "deletes=1",
        '"3"',
    )
    assert done.text == (
        '{"sequence":6,"changes":['
        '{"name":"a","action":"update","revision":2,"patch":'
        '[{"op": "remove", "path": "/x"}, {"op": "replace", "path": "/y", "value": 1.0}]},'
        '{"name":"b","action":"delete","revision":2,"patch":[]},'
        '{"name":"d","action":"create","revision":1,"patch":'
        '[{"op": "add", "path": "/n", "value": null},'
        ' {"op": "add", "path": "/x", "value": 1.10}]}]}'
    )
    assert done.headers["etag"] == '"6"'
    assert content.get().text == (
        '{"sequence":6,"configurations":{"a":{"revision":2,"comments":null,"config":{"y": 1.0}},'
        '"c":{"revision":1,"comments":null,"config":{"x": 1}},'
        '"d":{"revision":1,"comments":"new","config":{"n": null, "x": 1.10}}}}'
    )
    assert content.api.get(kept).status_code == 200
    assert content.api.get(gone).status_code == 404


def test_a_put_needs_if_match(content: Content) -> None:
    content.write("a")
    body = '{"configurations": {"a": {"config": {"n": 1}}}}'
    refused = content.api.put(content.path, content=body, headers=JSON)
    assert (refused.status_code, refused.headers["etag"]) == (428, '"1"')
    for tag in ['"0"', '"2"', 'W/"1"']:
        refused = content.put({"a": {"config": {"n": 1}}}, tag=tag)
        assert (refused.status_code, refused.headers["etag"]) == (412, '"1"')
    assert content.put({"a": {"config": {"n": 1}}}, tag="1").status_code == 400
    assert content.put({"a": {"config": {"n": 1}}}, tag='"1"').headers["etag"] == '"2"'
    assert content.put({"a": {"config": {"n": 2}}}).headers["etag"] == '"3"'


def test_what_get_gave_can_be_put_back_and_its_numbers_change_nothing(
    content: Content, db: connection
) -> None:
    content.patch('{"a": {"config": {"x": 1.10}}, "b": {"comments": "é", "config": {"n": [null]}}}')
    listen(db)
    answer = content.get()
    again = content.api.put(
        content.path, content=answer.content, headers=JSON | {IF_MATCH: answer.headers["etag"]}
    )
    assert again.text == '{"sequence":2,"changes":[]}'
    assert again.headers["etag"] == '"2"'
    given = answer.json()
    given["sequence"] = 999
    for item in given["configurations"].values():
        item["revision"] = 999
    again = content.api.put(content.path, json=given, headers={IF_MATCH: "*"})
    # Python has written 1.10 as 1.1: that is another document.
    assert names(again) == ["a"]
    assert heard(db) == [f"{content.id} {id_of(content, 'a')}"]


def id_of(content: Content, name: str) -> str:
    found = content.api.get(CONFIGURATIONS, params={"application_id": content.id, "name": name})
    (one,) = found.json()
    return str(one["id"])


def test_what_is_equal_is_left_alone(content: Content, db: connection) -> None:
    given = '{"a": {"config": {"x": 1, "y": 2}}, "b": {"comments": "x", "config": {}}}'
    content.put(given)
    listen(db)
    application = content.api.get(content.application).headers["etag"]
    for done in [
        content.put(given),
        content.put('{"b": {"config": {}, "comments": "x"}, "a": {"config": {"y": 2, "x": 1}}}'),
        content.patch(given),
        content.patch({"a": {}, "b": {"config": {"gone": None}}, "nobody": None}),
        content.patch({}),
    ]:
        assert (done.status_code, done.text) == (200, '{"sequence":2,"changes":[]}')
        assert done.headers["etag"] == '"2"'
    assert heard(db) == []
    assert sorted(content.steps()) == [("a", 1, "create"), ("b", 1, "create")]
    assert content.api.get(content.application).headers["etag"] == application
    # As documents 1 and 1.0 differ.
    assert names(content.put(given.replace("1,", "1.0,"))) == ["a"]
    assert names(content.put(given.replace("1,", "1.0,").replace('"x", ', '"y", '))) == ["b"]


def test_a_put_that_deletes_says_how_many(content: Content) -> None:
    content.put({name: {"config": {}} for name in "abcde"})
    before = content.get().text
    for query in ["", "deletes=0", "deletes=3", "deletes=5"]:
        refused = content.put({"a": {"config": {"n": 1}}}, query)
        assert refused.status_code == 409
        detail = refused.json()["detail"]
        assert "is 4 (“b”, “c”, “d”, …)" in detail
        assert "deletes=4" in detail
    refused = content.put({name: {"config": {}} for name in "abcdx"}, "deletes=2")
    assert "is 1 (“e”)" in refused.json()["detail"]
    refused = content.put({name: {"config": {}} for name in "abcdex"}, "deletes=1")
    assert (refused.status_code, "is 0, not 1" in refused.json()["detail"]) == (409, True)
    assert content.get().text == before
    assert content.put({"a": {"config": {"n": 1}}}, "deletes=4").status_code == 200
    assert content.items().keys() == {"a"}
    assert content.put({}, "deletes=1").json()["changes"][0]["action"] == "delete"
    assert content.put({}).text == '{"sequence":11,"changes":[]}'


@pytest.mark.parametrize("query", ["deletes=-1", "deletes=x", "deletes=", "deletes=1&deletes=1"])
def test_the_number_of_deletions_is_a_whole_number(content: Content, query: str) -> None:
    refused = content.put({}, query)
    assert refused.status_code == 400
    assert [one["parameter"] for one in refused.json()["errors"]] == ["deletes"]


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ("{}", ["/configurations"]),
        ('{"configurations": {}, "note": "x"}', ["/note"]),
        ('{"configurations": {}, "sequence": "1"}', ["/sequence"]),
        ('{"configurations": {"a": null}}', ["/configurations/a"]),
        ('{"configurations": {"a": {}}}', ["/configurations/a/config"]),
        ('{"configurations": {"a": {"config": null}}}', ["/configurations/a/config"]),
        ('{"configurations": {"a": {"config": {}, "x": 1}}}', ["/configurations/a/x"]),
        (
            '{"configurations": {"a": {"config": {}, "revision": 1.5}}}',
            ["/configurations/a/revision"],
        ),
        (
            '{"configurations": {"a": {"config": {}, "comments": 1}}}',
            ["/configurations/a/comments"],
        ),
        (
            '{"configurations":'
            ' {"a": {"config": {"x": 1e999}}, "b": {"config": {"y": "\\u0000"}}}}',
            ["/configurations/a/config/x", "/configurations/b/config/y"],
        ),
        ('{"configurations": {"a\\u0000": {"config": {}}}}', ["/configurations"]),
    ],
)
def test_a_put_that_is_malformed_is_refused_with_pointers(
    content: Content, body: str, faults: list[str]
) -> None:
    refused = content.api.put(content.path, content=body, headers=JSON | {IF_MATCH: "*"})
    assert (refused.status_code, pointers(refused)) == (400, faults)
    assert content.steps() == []


def test_names_are_the_keys_so_that_a_rename_is_none_of_it(content: Content) -> None:
    path = content.write("a", {"x": 1})
    assert content.api.put(path, json={"name": "b", "config": {"x": 1}}).status_code == 200
    assert content.items().keys() == {"b"}
    done = content.put({"c": {"config": {"x": 1}}}, "deletes=1")
    actions = [(one["name"], one["action"]) for one in done.json()["changes"]]
    assert actions == [("b", "delete"), ("c", "create")]
    assert content.api.get(path).status_code == 404


# All or nothing


def test_one_item_at_fault_and_nothing_is_changed(content: Content, db: connection) -> None:
    content.put({name: {"config": {}} for name in "abc"})
    before, steps = content.get().text, content.steps()
    listen(db)
    long = [1e308] * 4000
    for refused, status, faults in [
        (
            content.patch({"a": {"config": {"n": 1}}, "b": {"revision": 7}, "d": {}}),
            412,
            ["/configurations/b"],
        ),
        (
            content.patch({"a": {"config": {"n": 1}}, "b": {"config": {"n": long}}, "d": {}}),
            413,
            ["/configurations/b"],
        ),
        (
            content.put({"a": {"config": {"n": long}}, "d": {"config": {"n": long}}}, "deletes=2"),
            413,
            ["/configurations/a", "/configurations/d"],
        ),
        (content.put({"a": {"config": {"n": 1}}, "d": {"config": {}}}, "deletes=1"), 409, None),
    ]:
        assert refused.status_code == status
        assert (pointers(refused) if "errors" in refused.json() else None) == faults
        assert (content.get().text, content.steps(), heard(db)) == (before, steps, [])


def test_each_document_keeps_its_own_limit_and_the_body_has_a_larger_one(
    content: Content, limited: Content
) -> None:
    fitting = {f"c{number}": {"config": {"x": "x" * 400}} for number in range(4)}
    assert limited.put(fitting).status_code == 200
    before = content.get().text
    large = {"config": {"x": "x" * DOCUMENT_BYTES}}
    for refused in [
        limited.put(fitting | {"c1": large, "c/": large}),
        limited.patch({"c1": large, "c/": large, "c2": None}, **{IF_MATCH: "*"}),
    ]:
        assert refused.status_code == 413
        assert sorted(pointers(refused)) == ["/configurations/c1", "/configurations/c~1"]
    many = fitting | {f"d{number}": {"config": {"x": "x" * 700}} for number in range(4)}
    refused = limited.put(many)
    assert refused.status_code == 413
    assert str(CONTENT_BYTES) in refused.json()["detail"]
    assert content.get().text == before


def test_what_get_gives_fits_a_put_to_the_byte_and_what_is_larger_is_not_given_as_one(
    content: Content, limited: Content
) -> None:
    content.put({name: {"config": {"x": "ä" * 400}} for name in "abé😀"})
    content.patch({"d": {"comments": "", "config": {}}})
    spare = CONTENT_BYTES - len(content.get().content)
    content.patch({"d": {"comments": "x" * spare}})
    answer = limited.get()
    assert (answer.status_code, len(answer.content)) == (200, CONTENT_BYTES)
    tag = answer.headers["etag"]
    again = limited.api.put(limited.path, content=answer.content, headers=JSON | {IF_MATCH: tag})
    assert (again.status_code, again.json()["changes"]) == (200, [])
    larger = answer.content.replace(b"xx", b"x\xc3\xa4", 1)
    refused = limited.api.put(limited.path, content=larger, headers=JSON | {IF_MATCH: tag})
    assert refused.status_code == 413
    assert content.patch({"d": {"comments": "x" * (spare + 1)}}).status_code == 200
    refused = limited.get()
    assert (refused.status_code, "one by one" in refused.json()["detail"]) == (409, True)
    assert limited.api.head(limited.path).status_code == 409
    tag = content.get().headers["etag"]
    assert limited.get(**{IF_NONE_MATCH: tag}).status_code == 304


def test_404_comes_before_428_that_before_412_and_that_before_413_and_409(
    content: Content, limited: Content
) -> None:
    content.put({"a": {"config": {}}, "b": {"config": {}}})
    nowhere = copy(limited)
    nowhere.path = NOWHERE
    # 102 bytes to send, and more than the limit to print.
    long = f'{{"config": {{"n": [{",".join(["1e308"] * 4)}]}}}}'
    patch = f'{{"a": {long}, "b": {{"revision": 9}}}}'
    assert nowhere.patch(patch).status_code == 404
    assert limited.patch(patch).status_code == 428
    assert pointers_or_none(limited.patch(patch, **{IF_MATCH: '"9"'})) == (412, None)
    at_fault = (412, ["/configurations/b"])
    assert pointers_or_none(limited.patch(patch, **{IF_MATCH: '"2"'})) == at_fault
    patch = f'{{"a": {long}}}'
    at_fault = (413, ["/configurations/a"])
    assert pointers_or_none(limited.patch(patch, **{IF_MATCH: '"2"'})) == at_fault
    assert nowhere.put(patch).status_code == 404
    body = f'{{"configurations": {patch}}}'
    assert limited.api.put(limited.path, content=body, headers=JSON).status_code == 428
    assert limited.put(patch, tag='"9"').status_code == 412
    assert pointers_or_none(limited.put(patch, tag='"2"')) == at_fault
    assert limited.put({"a": {"config": {}}}, tag='"9"').status_code == 412
    assert limited.put({"a": {"config": {}}}, tag='"2"').status_code == 409
    # What is wrong with the request itself comes first.
    assert nowhere.put('{"a": {}}').status_code == 400
    assert limited.patch('{"a": 1}').status_code == 400


def pointers_or_none(refused: httpx.Response) -> tuple[int, list[str] | None]:
    return refused.status_code, pointers(refused) if "errors" in refused.json() else None


# Transactions


def test_what_changes_together_is_one_transaction_and_no_page_ends_within_it(
    content: Content,
) -> None:
    content.write("a")
    content.patch({"a": {"config": {"n": 1}}, "b": {}, "c": {}})
    content.put({"d": {"config": {}}, "c": {"config": {"n": 1}}}, "deletes=2")
    content.write("e")
    found = content.changes()["changes"]
    assert [one["sequence"] for one in found] == [*range(1, 10)]
    assert [one["transaction"] for one in found] == [1, 4, 4, 4, 8, 8, 8, 8, 9]
    times = [one["recorded_at"] for one in found]
    assert times == sorted(times)
    for after, limit, first, last in [
        (0, 1, 1, 1),
        (0, 2, 1, 4),
        (1, 1, 2, 4),
        (1, 3, 2, 4),
        (1, 4, 2, 8),
        (2, 1, 3, 4),
        (3, 1, 4, 4),
        (4, 2, 5, 8),
        (6, 2, 7, 8),
        (7, 2, 8, 9),
        (8, 1, 9, 9),
    ]:
        page = content.changes(after=after, limit=limit)
        assert page == {"changes": found[first - 1 : last], "next": last}


def test_what_is_older_than_transactions_counts_each_as_its_own(
    content: Content, tables: Tables
) -> None:
    tables.rows(
        "insert into configuration_revisions (configuration_id, revision, sequence,"
        " application_id, name, config, action, transaction_id)"
        " select %s, number, number, %s, 'a', '{}', 'update', null"
        " from generate_series(1, 3) as number",
        *(new_ulid(), content.id),
    )
    content.patch({"b": {}, "c": {}})
    found = content.changes()["changes"]
    assert [one["transaction"] for one in found] == [1, 2, 3, 5, 5]
    for after in range(3):
        assert content.changes(after=after, limit=1)["next"] == after + 1


def test_what_psql_commits_together_is_one_transaction_of_each_application(
    content: Content, dsn: str
) -> None:
    other = Content(content.api, "other")
    one, two = content.write("a"), other.write("a")
    typing = psycopg2.connect(dsn)
    with typing, typing.cursor() as cursor:
        for number in range(2):
            for path in (one, two):
                cursor.execute(
                    "savepoint s; update configurations set comments = %s where id = %s; release s",
                    (str(number), path.rpartition("/")[2]),
                )
    typing.close()
    for each in (content, other):
        each.write("b")
        assert [change["transaction"] for change in each.changes()["changes"]] == [1, 3, 3, 4]


def test_a_time_never_goes_back_along_the_sequence(content: Content, dsn: str) -> None:
    path = content.write("a")
    typing = psycopg2.connect(dsn)
    with typing, typing.cursor() as cursor:
        cursor.execute("select now()")
        content.write("b")
        cursor.execute(
            "update configurations set comments = 'late' where id = %s",
            [path.rpartition("/")[2]],
        )
    typing.close()
    times = [one["recorded_at"] for one in content.changes()["changes"]]
    assert [one[0] for one in content.steps()] == ["a", "b", "a"]
    assert times == sorted(times)


# Notes


def test_every_change_may_say_why(content: Content) -> None:
    api = content.api
    longest = "😀" * 1024
    params = {"note": longest}
    body = {"application_id": content.id, "name": "a"}
    path = api.post(CONFIGURATIONS, json=body, params=params).headers["location"]
    api.put(path, json={"name": "a", "config": {"n": 1}}, params={"note": "put"})
    api.patch(path, content='{"comments": "x"}', headers=MERGE_PATCH, params={"note": "patch"})
    api.post(f"{path}/rollback", json={"revision": 1}, params={"note": "rollback"})
    api.delete(path, params={"note": "delete"})
    api.post(f"{path}/rollback", json={"revision": 1})
    content.patch({"a": {"config": {"n": 2}}, "b": {}}, "note=patch%20of%20two")
    content.put({"b": {"config": {"n": 1}}}, "deletes=1&note=put+of+two")
    content.patch({"b": {"config": {"n": 3}}}, "note=")
    api.delete(content.application, params={"note": "the end"})
    expected = [longest, "put", "patch", "rollback", "delete", None, "patch of two", "put of two"]
    told = api.get(f"{path}/revisions").json()
    assert [one["note"] for one in reversed(told)] == expected
    for one in told:
        assert api.get(f"{path}/revisions/{one['revision']}").json()["note"] == one["note"]


def test_a_note_stands_in_the_changes_and_in_the_end_of_an_application(
    content: Content, tables: Tables
) -> None:
    content.patch({"a": {}, "b": {}}, "note=why")
    content.patch({"a": {"config": {"n": 1}}}, "note=")
    content.put({"a": {"config": {"n": 1}}, "b": {"config": {}}}, "note=nothing")
    assert [one["note"] for one in content.changes()["changes"]] == ["why", "why", None]
    path = f"{CONFIGURATIONS}/{id_of(content, 'b')}"
    assert content.api.delete(f"{content.application}?note=over").status_code == 204
    newest = content.api.get(f"{path}/revisions").json()[0]
    assert (newest["action"], newest["note"]) == ("delete", "over")
    # Nor is it left on the connection for what somebody else changes.
    again = Content(content.api, "again")
    again.write("a")
    assert again.changes()["changes"][0]["note"] is None


@pytest.mark.parametrize(
    "query",
    [pytest.param(f"note={'x' * 1025}", id="long"), "note=%00", "note=a&note=b", "note=%ff"],
)
def test_a_note_that_cannot_be_kept_is_refused(content: Content, query: str) -> None:
    path = content.write("a")
    for refused in [
        content.patch({"b": {}}, query),
        content.put({"a": {"config": {"n": 1}}}, query),
        content.api.delete(f"{path}?{query}"),
        content.api.delete(f"{content.application}?{query}"),
    ]:
        assert refused.status_code == 400
    assert content.steps() == [("a", 1, "create")]


def test_where_no_configuration_changes_there_is_no_note(content: Content) -> None:
    for refused in [
        content.api.post(f"{APPLICATIONS}?note=x", json={"name": "new"}),
        content.api.put(f"{content.application}?note=x", json={"name": "new"}),
        content.api.get(f"{content.path}?note=x"),
    ]:
        assert refused.status_code == 400
        assert [one["parameter"] for one in refused.json()["errors"]] == ["note"]


# There and back


def test_an_export_is_imported_to_the_last_digit_into_an_empty_database(
    content: Content, db: connection
) -> None:
    content.put(
        '{"a": {"comments": "é \\"1\\"", "config": {"n": [1.10, 12345678901234567890, null],'
        ' "m": {"x": 0.12345678901234567890, "e": 1e20, "": null}}}, "😀": {"config": {}}}'
    )
    exported = content.get()
    content.api.delete(content.application)
    fresh = Content(content.api)
    headers = JSON | {IF_MATCH: '"0"'}
    imported = fresh.api.put(fresh.path, content=exported.content, headers=headers)
    assert [one["action"] for one in imported.json()["changes"]] == ["create", "create"]
    assert fresh.get().content == exported.content
    listen(db)
    headers = JSON | {IF_MATCH: imported.headers["etag"]}
    again = fresh.api.put(fresh.path, content=exported.content, headers=headers)
    assert (again.text, heard(db)) == ('{"sequence":2,"changes":[]}', [])
    assert len(fresh.steps()) == 2


class Number(NamedTuple):
    """A number, as it is written."""

    text: str


def exact(text: str) -> Any:
    """A value of JSON in which 1 and 1.0 differ."""
    return json.loads(text, parse_int=Number, parse_float=Number)


def written(value: Any) -> str:
    """The JSON text of what `exact` gives."""
    match value:
        case Number(text):
            return text
        case dict():
            members = (f"{json.dumps(key)}: {written(one)}" for key, one in value.items())
            return f"{{{', '.join(members)}}}"
        case list():
            return f"[{', '.join(map(written, value))}]"
    return json.dumps(value)


def applied(document: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902, as far as the service uses it."""
    whole = {"": deepcopy(document)}
    for operation in operations:
        steps = ["", *operation["path"].split("/")[1:]]
        *way, last = [step.replace("~1", "/").replace("~0", "~") for step in steps]
        place: Any = whole
        for step in way:
            place = place[int(step) if isinstance(place, list) else step]
        key: Any = int(last) if isinstance(place, list) else last
        match operation["op"], place:
            case "remove", _:
                del place[key]
            case "add", list():
                place.insert(key, operation["value"])
            case op, _:
                assert op == "add" or place[key] != operation["value"]
                place[key] = operation["value"]
    return whole[""]


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7396) that turns one object into another. Of the members that the other
    has, only an item's comments may be null."""
    patch = dict.fromkeys(before.keys() - after.keys())
    for key, value in after.items():
        old = before.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            patch[key] = difference(old, value)
        elif old != value:
            patch[key] = value
    return patch


def any_value(chance: random.Random, depth: int = 0) -> Any:
    """No member of an object is null: no merge patch makes that."""
    match chance.randrange(8 if depth < 3 else 5):
        case 0:
            return Number(chance.choice(["1", "1.0", "1.10", "-7", "12345678901234567890"]))
        case 1 | 2:
            return chance.choice(["", "é", "😀/~", True, False])
        case 3 | 4:
            items: list[Any] = [None, Number("0.5"), Number("0.50"), "x", {"n": None}, [[]]]
            return chance.choices(items, k=chance.randrange(4))
    return any_object(chance, depth + 1)


def any_object(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    keys = ["a", "b/c", "d~e", "", "😀"]
    return {key: any_value(chance, depth) for key in chance.sample(keys, chance.randrange(5))}


def any_state(chance: random.Random) -> dict[str, Any]:
    names = chance.sample(["a", "b/c", "d~e", "😀"], chance.randrange(5))
    return {
        name: {"comments": chance.choice([None, "x", "é"]), "config": any_object(chance)}
        for name in names
    }


def test_the_difference_of_two_states_turns_one_into_the_other_and_so_does_what_is_answered(
    content: Content,
) -> None:
    chance = random.Random(7)  # noqa: S311
    before: dict[str, Any] = {}
    exported: dict[str, Any] = {}
    for _ in range(400):
        after = any_state(chance)
        done = content.patch(written(difference(before, after)))
        assert done.status_code == 200, done.text
        for change in exact(done.text)["changes"]:
            if change["action"] == "delete":
                assert change["patch"] == []
                del exported[change["name"]]
            else:
                old = exported.get(change["name"], {})
                exported[change["name"]] = applied(old, change["patch"])
        found = exact(content.get().text)["configurations"]
        for item in found.values():
            del item["revision"]
        assert found == after
        assert exported == {name: item["config"] for name, item in after.items()}
        before = after


# Access


def test_a_confined_token_has_the_content_of_its_own_application_only(
    content: Content, limited: Content
) -> None:
    other = Content(content.api, "other")
    other.write("secret")
    other.api = limited.api
    own, reader, any_ = bearer(OWN), bearer(READER), {IF_MATCH: "*"}
    assert limited.put({"a": {"config": {}}}, **own).status_code == 200
    assert limited.patch({"b": {}}, **any_, **own).status_code == 200
    assert limited.get(**own).json()["configurations"].keys() == {"a", "b"}
    assert {one["actor"] for one in content.changes()["changes"]} == {"own"}
    assert limited.get(**reader).status_code == 200
    for query in ["", "dry_run=true"]:
        for refused in [
            other.get(**own),
            other.put({}, query, **own),
            other.patch({"x": {}}, query, **any_, **own),
        ]:
            assert refused.status_code == 404
            assert "secret" not in refused.text
        assert limited.put({}, query, **reader).status_code == 403
        assert limited.patch({}, query, **reader).status_code == 403
    assert list(other.items()) == ["secret"]


def test_what_is_short_to_send_and_too_long_to_print_is_refused_though_each_document_fits(
    content: Content, limited: Content
) -> None:
    items: dict[str, dict[str, Any]] = {f"c{number}": {"config": {}} for number in range(20)}
    content.put(items)
    before = content.get().text
    printed = f'{{"config": {{"n": [{",".join(["1e308"] * 2)}]}}}}'
    wanted = f"{{{','.join(f'"c{number}": {printed}' for number in range(20))}}}"
    refused = limited.put(wanted)
    assert refused.status_code == 413
    assert "All of this together" in refused.json()["detail"]
    assert limited.patch(wanted, **{IF_MATCH: "*"}).status_code == 413
    assert content.get().text == before
