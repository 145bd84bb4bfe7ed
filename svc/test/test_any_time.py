"""The state of an application at any time, the way back to it, and the history of one value.

A model keeps, in Python, what an application was after each change. What the service says of the
past has to be what it said then.
"""

import json
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any, NamedTuple

import httpx
import psycopg2
import pytest
from psycopg2.extensions import connection

from conftest import Server, Tables
from edge.tokens import hash_of
from test.answers import hold
from wire.types import new_ulid

APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
ANY = {"If-Match": "*"}
NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
NAMES = ["a", "b", "c", "d", "e/f", "g~h", "ü +%", '"']
VALUES: list[Any] = [0, 1, 1.0, "x", None, [], [1], [1.0], {}, {"n": 1}, {"n": None, "o": [{}]}]
KEEP = 3
FOREVER = 10**9


def exact(value: Any) -> str:
    """The same text for equal JSON; 1 and 1.0 differ."""
    return json.dumps(value, sort_keys=True)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class Item(NamedTuple):
    """A configuration as it was."""

    name: str
    comments: str | None
    config: str  # as `exact` gives it
    revision: int = 0


class Answer(NamedTuple):
    """What was told of the present, and has to be told of the same sequence for ever."""

    path: str
    query: dict[str, Any]
    sequence: int
    status: int
    etag: str | None
    text: str


class Past:
    """An application, and a model of all that it ever was."""

    def __init__(self, api: httpx.Client, db: connection, seed: int, keep: int = FOREVER) -> None:
        self.api, self.db, self.random, self.keep = api, db, random.Random(seed), keep
        self.name = "billing"
        self.id = api.post(APPLICATIONS, json={"name": self.name}).json()["id"]
        self.path = f"{APPLICATIONS}/{self.id}"
        self.items: dict[str, Item] = {}
        self.sequence = 0
        # By the id of a configuration, all its revisions: the first is at 0.
        self.revisions: dict[str, list[Item]] = {}
        # By the last sequence of a transaction.
        self.states: dict[int, dict[str, Item]] = {0: {}}
        # For each sequence, the last one of its transaction.
        self.points = [0]
        self.contents: dict[int, str] = {}
        self.answers: list[Answer] = []

    # The model

    def put(self, id: str, wanted: Item) -> None:
        """The configuration has this name, comments and config now."""
        present = self.items.get(id)
        if present is None or present[:3] != wanted[:3]:
            revisions = self.revisions.setdefault(id, [])
            self.items[id] = wanted._replace(revision=len(revisions) + 1)
            revisions.append(self.items[id])
            self.sequence += 1

    def drop(self, id: str) -> None:
        """The configuration is deleted."""
        self.revisions[id].append(self.items.pop(id))
        self.sequence += 1

    def become(self, state: dict[str, Item]) -> None:
        """All configurations are as they were, or go."""
        for id in self.items.keys() - state.keys():
            self.drop(id)
        for id, item in state.items():
            self.put(id, item)

    def commit(self) -> None:
        """What was done since is one transaction."""
        self.states[self.sequence] = dict(self.items)
        self.points += [self.sequence] * (self.sequence + 1 - len(self.points))

    def is_left(self, id: str, item: Item) -> bool:
        """Whether history has it still."""
        return item.revision > len(self.revisions[id]) - self.keep

    # Changes, each of which the model follows

    def change(self) -> None:
        """Any change; what it leaves is told and kept."""
        ways: list[Callable[[], None]] = [
            *(self.create, self.create, self.replace, self.replace, self.patch, self.delete),
            *(self.rename, self.rename, self.restore_one, self.restore_one),
            *(self.patch_content, self.replace_content, self.roll_back_anywhere, self.type_in),
        ]
        if not self.items:
            ways = [self.create, self.restore_one]
        self.random.choice(ways)()
        self.commit()
        self.look()

    def document(self) -> dict[str, Any]:
        keys = self.random.sample(["x", "y", "z", ""], self.random.randint(0, 3))
        return {key: self.random.choice(VALUES) for key in keys}

    def wanted(self, name: str) -> Item:
        comments = self.random.choice([None, None, "é", "why"])
        return Item(name, comments, exact(self.document()))

    def one(self) -> tuple[str, Item]:
        return self.random.choice(sorted(self.items.items()))

    def is_taken(self, name: str, by_other_than: str = "") -> bool:
        return any(i != by_other_than and item.name == name for i, item in self.items.items())

    def create(self) -> None:
        wanted = self.wanted(self.random.choice(NAMES))
        body = {"application_id": self.id, "name": wanted.name, "comments": wanted.comments}
        made = self.api.post(CONFIGURATIONS, json=body | {"config": json.loads(wanted.config)})
        if self.is_taken(wanted.name):
            assert made.status_code == 409
        else:
            self.put(made.json()["id"], wanted)

    def _replace(self, id: str, wanted: Item) -> None:
        body = {"name": wanted.name, "comments": wanted.comments}
        body["config"] = json.loads(wanted.config)
        done = self.api.put(f"{CONFIGURATIONS}/{id}", json=body)
        if self.is_taken(wanted.name, id):
            assert done.status_code == 409
        else:
            self.put(id, wanted)
            assert done.headers["etag"] == f'"{self.items[id].revision}"'

    def replace(self) -> None:
        id, item = self.one()
        self._replace(id, self.wanted(item.name))

    def rename(self) -> None:
        id, item = self.one()
        self._replace(id, item._replace(name=self.random.choice(NAMES)))

    def patch(self) -> None:
        id, item = self.one()
        patch = self.document()
        done = self.api.patch(
            f"{CONFIGURATIONS}/{id}", content=json.dumps({"config": patch}), headers=MERGE_PATCH
        )
        assert done.status_code == 200
        self.put(id, item._replace(config=exact(merged(json.loads(item.config), patch))))

    def delete(self) -> None:
        id, _ = self.one()
        assert self.api.delete(f"{CONFIGURATIONS}/{id}").status_code == 204
        self.drop(id)

    def restore_one(self) -> None:
        """A deleted configuration may come back, unless its name is taken."""
        if not self.revisions:
            return
        id, revisions = self.random.choice(sorted(self.revisions.items()))
        number = self.random.randint(max(1, len(revisions) + 1 - self.keep), len(revisions))
        was = revisions[number - 1]
        done = self.api.post(f"{CONFIGURATIONS}/{id}/rollback", json={"revision": number})
        if self.is_taken(was.name, id):
            assert done.status_code == 409
        else:
            assert done.status_code == 200
            self.put(id, was)

    def ids(self) -> dict[str, str]:
        """By name, as the service says."""
        listed = self.api.get(CONFIGURATIONS, params={"application_id": self.id}).json()
        return {one["name"]: one["id"] for one in listed}

    def _become(self, wanted: dict[str, Item]) -> None:
        known = self.ids()
        self.become({known[name]: item for name, item in wanted.items()})

    def patch_content(self) -> None:
        wanted = {item.name: item for item in self.items.values()}
        given: dict[str, Any] = {}
        for name in self.random.sample(NAMES, 3):
            if self.random.random() < 0.3:
                given[name] = None
                wanted.pop(name, None)
            else:
                patch = self.document()
                given[name] = {"config": patch}
                before = wanted.get(name, Item(name, None, "{}"))
                config = exact(merged(json.loads(before.config), patch))
                wanted[name] = before._replace(config=config)
        body = json.dumps({"configurations": given})
        done = self.api.patch(f"{self.path}/content", content=body, headers=MERGE_PATCH)
        assert done.status_code == 200
        self._become(wanted)

    def replace_content(self) -> None:
        wanted = {item.name: item for item in self.items.values()}
        for name in self.random.sample(NAMES, 3):
            wanted[name] = self.wanted(name)
        for name in self.random.sample(sorted(wanted), 2):
            del wanted[name]
        deletes = sum(item.name not in wanted for item in self.items.values())
        given = {
            name: {"comments": item.comments, "config": json.loads(item.config)}
            for name, item in wanted.items()
        }
        done = self.api.put(
            f"{self.path}/content?deletes={deletes}", json={"configurations": given}, headers=ANY
        )
        assert done.status_code == 200
        self._become(wanted)

    def roll_back(
        self, sequence: int, query: dict[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        """The request alone; `deletes` as the model knows it."""
        target = self.states[self.points[sequence]]
        return self.api.post(
            f"{self.path}/rollback",
            params={"deletes": len(self.items.keys() - target.keys())} | (query or {}),
            json={"sequence": sequence},
            headers=ANY | headers,
        )

    def roll_back_anywhere(self) -> None:
        sequence = self.random.randint(0, self.sequence)
        target = self.states[self.points[sequence]]
        done = self.roll_back(sequence)
        if all(self.is_left(id, item) for id, item in target.items()):
            assert done.status_code == 200, done.text
            self.become(target)
        else:
            assert done.status_code == 410

    def type_in(self) -> None:
        """Several statements of a person in one transaction."""
        with self.db, self.db.cursor() as cursor:
            cursor.execute("begin")
            for _ in range(self.random.randint(1, 4)):
                self.random.choice([self._typed_write, self._typed_delete, self._typed_swap])(
                    cursor.execute
                )
            cursor.execute("commit")

    def _typed_write(self, execute: Callable[..., Any]) -> None:
        if free := sorted({*NAMES} - {item.name for item in self.items.values()}):
            # New, or under the id of one that was deleted.
            gone = sorted(self.revisions.keys() - self.items.keys())
            id = self.random.choice([new_ulid(), *gone[:1]])
            wanted = self.wanted(self.random.choice(free))
            execute(
                "insert into configurations (id, application_id, name, comments, config)"
                " values (%s, %s, %s, %s, %s)",
                (id, self.id, *wanted[:3]),
            )
            self.put(id, wanted)
        comments = self.random.choice(["p", "q"])
        execute(
            "update configurations set comments = %s where application_id = %s",
            (comments, self.id),
        )
        for id, item in list(self.items.items()):
            self.put(id, item._replace(comments=comments))

    def _typed_delete(self, execute: Callable[..., Any]) -> None:
        gone = self.random.sample(sorted(self.items), min(2, len(self.items)))
        execute("delete from configurations where id = any(%s)", (gone,))
        for id in gone:
            self.drop(id)

    def _typed_swap(self, execute: Callable[..., Any]) -> None:
        """Two exchange their names; one has a third name meanwhile, which nobody ever sees."""
        if len(self.items) < 2:
            return
        first, second = self.random.sample(sorted(self.items), 2)
        names = self.items[first].name, self.items[second].name
        for id, name in [(first, new_ulid()), (second, names[0]), (first, names[1])]:
            execute("update configurations set name = %s where id = %s", (name, id))
            self.put(id, self.items[id]._replace(name=name))

    # What is told

    def layers(self) -> dict[str, Any]:
        """Any query of /config but for the name of the application, which may change."""
        names = self.random.choices(NAMES, k=self.random.randint(1, 3))
        query: dict[str, Any] = {"name": names}
        if self.random.random() < 0.7:
            query["optional"] = self.random.choice([names, names[:1]])
        if self.random.random() < 0.3:
            query["explain"] = "true"
        return query

    def ask(self, path: str, query: dict[str, Any], **headers: str) -> httpx.Response:
        if path == "/api/v1/config":
            query = {"application": self.name} | query
        return self.api.get(path, params=query, headers=headers)

    def look(self) -> None:
        """Keeps what is told now; the content is as the model says."""
        for path, query in [
            ("/api/v1/config", self.layers()),
            (f"{CONFIGURATIONS}/{self.random.choice([NOWHERE, *sorted(self.revisions)])}", {}),
        ]:
            told = self.ask(path, query)
            self.answers.append(
                Answer(
                    *(path, query, self.sequence, told.status_code),
                    *(told.headers.get("etag"), told.text),
                )
            )
        content = self.api.get(f"{self.path}/content")
        assert content.headers["etag"] == f'"{self.sequence}"'
        assert content_of(content) == by_name(self.items)
        self.contents[self.sequence] = content.text

    def changes(self) -> list[dict[str, Any]]:
        """All changes, in their order."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["sequence"] if found else 0
            page = self.api.get(f"{self.path}/changes", params={"after": after, "limit": 1000})
            if not page.json()["changes"]:
                return found
            found += page.json()["changes"]

    def needed(self, path: str, query: dict[str, Any], sequence: int) -> dict[str, Item]:
        """Which configurations an answer is made of."""
        state = self.states[self.points[sequence]]
        if path == "/api/v1/config":
            return {id: item for id, item in state.items() if item.name in query["name"]}
        return {id: item for id, item in state.items() if id in path or path.endswith("/content")}

    def expect(self, answer: Answer, at: str) -> None:
        """The answer that was given then is given of that point; 410 where something of it is
        trimmed."""
        told = self.ask(answer.path, answer.query | {"at": at})
        needed = self.needed(answer.path, answer.query, answer.sequence)
        where = f"{told.request.url}"
        if answer.status == 200 and not all(self.is_left(*one) for one in needed.items()):
            assert told.status_code == 410, where
            return
        assert (told.status_code, told.headers.get("etag")) == (answer.status, answer.etag), where
        if answer.status == 200:
            assert told.text == answer.text, where
        if told.is_success and not at.isdecimal():
            again = self.api.get(told.headers["content-location"])
            assert (again.text, again.headers["etag"]) == (told.text, told.headers["etag"])
            where = httpx.URL(told.headers["content-location"])
            assert where.path == answer.path
            assert where.params["at"] == f"{answer.sequence}"
        else:
            assert "content-location" not in told.headers

    def content(self, point: int) -> Answer:
        """The answer of `content` then."""
        text = self.contents.get(point, '{"sequence":0,"configurations":{}}')
        return Answer(f"{self.path}/content", {}, point, 200, f'"{point}"', text)

    def expect_everything(self) -> None:
        """Each answer is still given: at its sequence, at each inside its transaction, and at times
        up to the next one."""
        changes = self.changes()
        assert [change["transaction"] for change in changes if change["sequence"]] == [
            self.points[change["sequence"]] for change in changes
        ]
        for sequence, point in enumerate(self.points):
            self.expect(self.content(point), f"{sequence}")
        inside: dict[int, list[int]] = {}
        for sequence, point in enumerate(self.points):
            inside.setdefault(point, []).append(sequence)
        for answer in self.answers:
            self.expect(answer, f"{self.random.choice(inside[answer.sequence])}")
        for id in self.revisions:
            for sequence in self.random.choices(range(self.sequence + 1), k=3):
                self.expect_configuration(id, sequence)
        for answer, at in self.times(changes):
            self.expect(answer, at)

    def expect_configuration(self, id: str, sequence: int) -> None:
        """It is told as the model has it."""
        told = self.ask(f"{CONFIGURATIONS}/{id}", {"at": sequence})
        item = self.states[self.points[sequence]].get(id)
        if item is None:
            assert told.status_code == 404
        elif not self.is_left(id, item):
            assert told.status_code == 410
        else:
            found = told.json()
            assert (found["id"], found["application_id"]) == (id, self.id)
            assert (found["name"], found["comments"]) == (item.name, item.comments)
            assert exact(found["config"]) == item.config
            assert told.headers["etag"] == f'"{item.revision}"'

    def times(self, changes: list[dict[str, Any]]) -> Iterator[tuple[Answer, str]]:
        """Times, and what was told then."""
        told: dict[int, list[Answer]] = {}
        for answer in self.answers:
            told.setdefault(answer.sequence, []).append(answer)
        for change, following in pairwise(changes):
            at = time_of(change)
            if at == time_of(following):
                continue
            # Before the end of a transaction, what counts is the one before it.
            point = self.points[change["sequence"]]
            if point != change["sequence"]:
                first = self.points.index(point)
                point = self.points[first - 1]
            answers = [self.content(point), *told.get(point, [])[:1]]
            for answer, moment in zip(answers, [at, (time_of(following) - at) / 2 + at], strict=False):
                yield answer, written(moment, self.random)


def time_of(change: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(change["recorded_at"])


def written(moment: datetime, dice: random.Random) -> str:
    """RFC 3339 has many ways to write a time."""
    zone = timezone(timedelta(minutes=dice.choice([0, 330, -210])))
    text = moment.astimezone(zone).isoformat(timespec="microseconds")
    return dice.choice([text, moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")])


def by_name(items: dict[str, Item]) -> dict[str, Item]:
    return {item.name: item for item in items.values()}


def content_of(answer: httpx.Response) -> dict[str, Item]:
    """What `content` told, as the model keeps it."""
    assert answer.status_code == 200, answer.text
    return {
        name: Item(name, one["comments"], exact(one["config"]), one["revision"])
        for name, one in answer.json()["configurations"].items()
    }


@pytest.fixture
def past(api: httpx.Client, db: connection) -> Past:
    return Past(api, db, seed=16)


# Everything that was


@pytest.mark.faults
def test_everything_that_was_told_is_told_of_its_time_for_ever(
    api: httpx.Client, db: connection, seconds: float
) -> None:
    past = Past(api, db, seed=16)
    changes = 2_000 if seconds else 200
    while past.sequence < changes:
        past.change()
        if past.random.random() < 0.02:
            past.name = f"{past.sequence}"
            api.put(past.path, json={"name": past.name})
    past.expect_everything()


# The way back


def test_all_go_back_to_what_they_were_and_forth_again(past: Past) -> None:
    while past.sequence < 150:
        past.change()
    for number in range(50):
        there, back = past.random.randint(0, 150), past.sequence
        note = f"number {number}"
        for sequence in (there, back):
            target = past.states[past.points[sequence]]
            planned = past.roll_back(sequence, {"dry_run": "true", "note": note})
            plan, tag, before = planned.text, planned.headers["etag"], past.sequence
            assert tag == f'"{before}"'
            assert past.api.get(f"{past.path}/content").text == past.contents[before]
            done = past.roll_back(sequence, {"note": note}, **{"If-Match": tag})
            assert (done.status_code, done.text) == (200, plan)
            gone = past.items.keys() - target.keys()
            past.become(target)
            past.commit()
            assert done.headers["etag"] == f'"{past.sequence}"'
            assert done.json()["sequence"] == past.sequence
            past.look()
            page = past.api.get(f"{past.path}/changes", params={"after": before})
            expect_told(page.json()["changes"], done.json()["changes"], gone, note)
    past.expect_everything()


def expect_told(
    recorded: list[dict[str, Any]], told: list[dict[str, Any]], gone: set[str], note: str
) -> None:
    """History has of a rollback what its answer told."""
    names = ("name", "action", "revision")
    in_order = sorted([one[name] for name in names] for one in recorded)
    assert [[one[name] for name in names] for one in told] == in_order
    for one in recorded:
        is_gone = one["configuration_id"] in gone
        assert one["action"] == ("delete" if is_gone else "rollback")
        assert one["note"] == note
        assert one["transaction"] == recorded[-1]["sequence"]


def test_names_that_were_exchanged_or_taken_over_go_back_to_their_configurations(
    past: Past, tables: Tables
) -> None:
    a, b, c = (tables.configuration(past.id, name, f'{{"is": "{name}"}}') for name in "abc")
    tables.rows("delete from configurations where id = %s", c)
    for id, name in [(a, "x"), (b, "a"), (a, "c")]:
        tables.rows("update configurations set name = %s where id = %s", name, id)
    new = tables.configuration(past.id, "b")
    before = past.api.get(f"{past.path}/content").text
    refused = past.api.post(f"{past.path}/rollback", json={"sequence": 3}, headers=ANY)
    assert refused.status_code == 409
    assert "deletes=1" in refused.json()["detail"]
    assert past.api.get(f"{past.path}/content").text == before
    done = past.api.post(f"{past.path}/rollback?deletes=1", json={"sequence": 3}, headers=ANY)
    assert [[one["name"], one["action"]] for one in done.json()["changes"]] == [
        *(["a", "rollback"], ["b", "delete"], ["b", "rollback"], ["c", "rollback"]),
    ]
    found = {one["name"]: (one["id"], one["config"]) for one in documents(past)}
    assert found == {name: (id, {"is": name}) for name, id in zip("abc", [a, b, c], strict=True)}
    assert past.api.get(f"{CONFIGURATIONS}/{new}").status_code == 404
    back = past.api.post(f"{past.path}/rollback?deletes=1", json={"sequence": 8}, headers=ANY)
    assert back.status_code == 200
    found = {one["name"]: (one["id"], one["config"]) for one in documents(past)}
    assert found == {"a": (b, {"is": "b"}), "c": (a, {"is": "a"}), "b": (new, {})}


def documents(past: Past) -> list[dict[str, Any]]:
    """All configurations as they are, each by itself."""
    return [past.api.get(f"{CONFIGURATIONS}/{id}").json() for id in past.ids().values()]


def test_the_way_back_needs_the_sequence_that_it_starts_from(past: Past, tables: Tables) -> None:
    tables.configuration(past.id, config='{"n": 1}')
    tables.rows("update configurations set config = '{\"n\": 2}'")
    path, body = f"{past.path}/rollback", {"sequence": 1}
    missing = past.api.post(path, json=body)
    assert (missing.status_code, missing.headers["etag"]) == (428, '"2"')
    stale = past.api.post(path, json=body, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"2"')
    done = past.api.post(path, json=body, headers={"If-Match": '"1", "2"'})
    assert (done.status_code, done.headers["etag"]) == (200, '"3"')
    assert done.json()["changes"] == [
        {
            **{"name": "production", "action": "rollback", "revision": 3},
            "patch": [{"op": "replace", "path": "/n", "value": 1}],
        }
    ]
    again = past.api.post(path, json=body, headers=ANY)
    assert (again.headers["etag"], again.json()) == ('"3"', {"sequence": 3, "changes": []})


def test_to_0_it_empties_the_application_where_deletes_says_so(past: Past, tables: Tables) -> None:
    for name in "ab":
        tables.configuration(past.id, name)
    path, body = f"{past.path}/rollback", {"sequence": 0}
    for query in ("", "?deletes=1", "?deletes=3"):
        refused = past.api.post(path + query, json=body, headers=ANY)
        assert refused.status_code == 409
        assert "2 (“a”, “b”)" in refused.json()["detail"]
    assert past.api.post(f"{path}?deletes=2", json=body, headers=ANY).status_code == 200
    assert past.ids() == {}
    needless = past.api.post(f"{path}?deletes=1", json={"sequence": 2}, headers=ANY)
    assert needless.status_code == 409


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        *(({"sequence": given}, "/sequence") for given in [2, 10**17, 10**30, -1, "1", 1.5, None]),
        ({}, "/sequence"),
        ({"sequence": 1, "revision": 1}, "/revision"),
    ],
)
def test_what_is_no_sequence_or_in_the_future_is_refused(
    past: Past, tables: Tables, body: dict[str, Any], pointer: str
) -> None:
    tables.configuration(past.id)
    refused = past.api.post(f"{past.path}/rollback", json=body, headers=ANY)
    assert refused.status_code == 400
    assert [one["pointer"] for one in refused.json()["errors"]] == [pointer]


def test_there_is_no_way_back_for_an_application_that_is_not_there(past: Past) -> None:
    path = f"{APPLICATIONS}/{NOWHERE}/rollback"
    assert past.api.post(path, json={"sequence": 0}).status_code == 404


# What history has trimmed


@pytest.fixture(scope="module")
def forgetful_server(dsn: str) -> Iterator[Server]:
    """An instance that keeps few revisions of each configuration."""
    server = Server(DATABASE_URL=dsn, HISTORY_KEEP_REVISIONS=str(KEEP)).start()
    hold(server.client)
    yield server
    server.stop()


@pytest.fixture
def forgetful(forgetful_server: Server, dsn: str, db: connection) -> Iterator[Past]:
    with closing(psycopg2.connect(dsn)) as own:
        own.autocommit = True
        with own.cursor() as cursor:
            cursor.execute(f"set config_service.history_keep_revisions = {KEEP}")
        yield Past(forgetful_server.client, own, seed=17, keep=KEEP)


def test_what_is_trimmed_is_gone_and_never_a_wrong_answer(forgetful: Past) -> None:
    while forgetful.sequence < 200:
        forgetful.change()
    forgetful.expect_everything()


# The history of one value

NOTHING = object()
DOCUMENTS: list[Any] = [
    *({}, {"n": 1}, {"n": 1.0}, {"n": None}, {"n": "1"}, {"n": [1, {"m": 1}]}, {"n": {"0": 1}}),
    *({"": 1}, {"": {"": [1]}}, {"a/b": 1, "c~d": 1}, {"a/b": {"c~d": 2}}, {"c~1d": 3}),
    *({"n": [1.0, {"m": 1}]}, {"n": [{"m": 1}, 1]}, {"n": [[], [0]]}, {"01": 1, "-": 2}),
]
PATHS = [
    *("", "/", "//", "///0", "/n", "/n/0", "/n/1", "/n/1/m", "/n/01", "/n/-", "/n/-1", "/n/2"),
    *("/a~1b", "/a~1b/c~0d", "/c~0d", "/c~01d", "/a/b", "/01", "/-", "/nobody", "/n/99999999999"),
]


def value_at(document: Any, path: str) -> Any:
    """RFC 6901; NOTHING where there is no value."""
    for part in path.split("/")[1:]:
        token = part.replace("~1", "/").replace("~0", "~")
        match document:
            case dict():
                document = document.get(token, NOTHING)
            case list() if re.fullmatch("0|[1-9][0-9]*", token) and int(token) < len(document):
                document = document[int(token)]
            case _:
                return NOTHING
    return document


def values_of(documents: list[Any], path: str) -> list[tuple[int, str | None]]:
    """With the revisions in which it became another, newest first."""
    values = [value_at(document, path) for document in [NOTHING, *documents]]
    texts = [None if value is NOTHING else exact(value) for value in values]
    changed = [(n, after) for n, (before, after) in enumerate(pairwise(texts), 1) if before != after]
    return changed[::-1]


def pages(api: httpx.Client, url: str) -> Iterator[list[dict[str, Any]]]:
    """All pages from there on, by `Link`."""
    while url:
        answer = api.get(url)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        link = re.fullmatch('<(.*)>; rel="next"', answer.headers.get("link", '<>; rel="next"'))
        assert link
        url = link[1]


def told_values(page: list[dict[str, Any]]) -> list[tuple[int, str | None]]:
    return [
        (one["revision"], exact(one["value"]) if "value" in one else None) for one in page
    ]


def test_the_history_of_a_value_has_the_revisions_in_which_it_became_another(past: Past) -> None:
    made = past.api.post(
        CONFIGURATIONS, json={"application_id": past.id, "name": "a", "config": DOCUMENTS[0]}
    )
    path, documents = made.headers["location"], [DOCUMENTS[0]]
    for number in range(60):
        if number % 20 == 7:
            past.api.delete(path)
            documents.append(documents[-1])
            revision = past.random.randint(1, len(documents))
            past.api.post(f"{path}/rollback", json={"revision": revision})
            documents.append(documents[revision - 1])
        # Its value stays, whatever the name is.
        name = past.random.choice(NAMES)
        document = past.random.choice([DOCUMENTS[number % len(DOCUMENTS)], *DOCUMENTS])
        before = past.api.get(path).headers["etag"]
        done = past.api.put(path, json={"name": name, "config": document})
        if done.headers["etag"] != before:
            documents.append(document)
    past.api.delete(path)
    documents.append(documents[-1])
    for pointer in PATHS:
        expected = values_of(documents, pointer)
        for limit in {*range(1, 8), len(expected) or 1, len(expected) + 1, 1000}:
            url = f"{path}/revisions?" + str(httpx.QueryParams(path=pointer, limit=limit))
            found = [told_values(page) for page in pages(past.api, url)]
            assert [one for page in found for one in page] == expected, pointer
            assert {len(page) for page in found[:-1]} <= {limit}
        before = past.random.randint(2, len(documents))
        only = past.api.get(f"{path}/revisions", params={"path": pointer, "before": before}).json()
        assert told_values(only) == [one for one in expected if one[0] < before]


def test_each_revision_of_a_value_is_told_like_any_other(past: Past) -> None:
    made = past.api.post(
        f"{CONFIGURATIONS}?note=why",
        json={"application_id": past.id, "name": "a", "config": {"n": 1}},
    )
    path = f"{made.headers['location']}/revisions"
    [plain] = past.api.get(path).json()
    assert past.api.get(f"{path}?path=/n").json() == [plain | {"value": 1}]
    assert (plain["action"], plain["note"], "value" in plain) == ("create", "why", False)
    assert past.api.get(f"{path}?path=/m").json() == []


def test_the_history_of_a_value_goes_on_over_more_revisions_than_one_request_reads(
    past: Past, tables: Tables
) -> None:
    id = tables.configuration(past.id, config='{"n": 0}')
    # Revision r has r / 700 in it, and only two values more.
    tables.rows(
        "do $$ begin for r in 2..2500 loop"
        " update configurations set comments = r::text,"
        " config = jsonb_build_object('n', r / 700, 'once', r = 1999); end loop; end $$"
    )
    path = f"{CONFIGURATIONS}/{id}/revisions"
    for pointer, expected in [
        ("/n", [(2100, "3"), (1400, "2"), (700, "1"), (1, "0")]),
        ("/once", [(2000, "false"), (1999, "true"), (2, "false")]),
        ("/never", []),
    ]:
        for limit in (1, 2, 100):
            found = [*pages(past.api, f"{path}?path={pointer}&limit={limit}")]
            assert [one for page in found for one in told_values(page)] == expected
            assert 3 <= len(found) <= 8


@pytest.mark.parametrize("path", ["n", "n/", "/~", "/~2", "/a~", "/\0"])
def test_what_is_no_pointer_is_refused(past: Past, tables: Tables, path: str) -> None:
    id = tables.configuration(past.id)
    refused = past.api.get(f"{CONFIGURATIONS}/{id}/revisions", params={"path": path})
    assert refused.status_code == 400
    assert [one["parameter"] for one in refused.json()["errors"]] == ["path"]


# The difference of any two documents


def test_a_difference_begins_or_ends_with_the_present_document_where_nothing_else_is_said(
    past: Past, tables: Tables
) -> None:
    id = tables.configuration(past.id, config='{"n": 1}')
    tables.rows("update configurations set config = '{\"n\": 2}'")
    tables.rows("update configurations set config = '{\"n\": 3}'")
    other = tables.configuration(tables.application("other"), config='{"n": 1.0}')
    tables.rows("update configurations set config = '{\"m\": 4}' where id = %s", other)

    def diff(**query: Any) -> Any:
        answer = past.api.get(f"{CONFIGURATIONS}/{id}/diff", params=query)
        if answer.status_code != 200:
            return answer.status_code
        return sorted((one["op"], one["path"], one.get("value")) for one in answer.json())

    assert diff() == []
    assert diff(**{"from": 1}) == [("replace", "/n", 3)]
    assert diff(to=2) == [("replace", "/n", 2)]
    assert diff(**{"from": 2}, to=1) == [("replace", "/n", 1)]
    # `to` counts in the other one.
    moved = [("add", "/m", 4), ("remove", "/n", None)]
    assert diff(other=other) == moved
    assert diff(**{"from": 1}, other=other) == diff(to=2, other=other) == moved
    [changed] = past.api.get(
        f"{CONFIGURATIONS}/{id}/diff", params={"from": 1, "to": 1, "other": other}
    ).json()
    assert exact(changed["value"]) == "1.0"
    assert diff(to=3, other=other) == diff(other=NOWHERE) == diff(other=NOWHERE, to=1) == 404
    assert diff(other="x") == 400
    tables.rows("delete from configurations where id = %s", other)
    assert diff(other=other) == 404
    assert diff(other=other, to=3) == moved
    tables.rows("delete from configurations where id = %s", id)
    assert diff() == diff(to=1) == diff(**{"from": 1}) == 404
    assert diff(**{"from": 1}, to=3) == [("replace", "/n", 3)]


# What `at` is


def reads(past: Past, id: str) -> list[tuple[str, dict[str, Any]]]:
    """Each read that has `at`, of the configuration `production`."""
    return [
        ("/api/v1/config", {"application": past.name, "name": "production"}),
        (f"{CONFIGURATIONS}/{id}", {}),
        (f"{past.path}/content", {}),
    ]


@pytest.mark.parametrize(
    "at",
    [
        *("", "x", "-1", "+1", "1.0", " 1", "1e3", "9" * 30, "2026-01-02", "2026-01-02T03:04Z"),
        *("2026-01-02 03:04:05Z", "2026-01-02t03:04:05Z", "2026-01-02T03:04:05z", "٣"),
        *("2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05.1234567Z"),
        *("2026-02-30T03:04:05Z", "2026-01-02T24:00:00Z", "2026-01-02T03:04:05+0100"),
        *("2026-01-02T03:04:05+24:00", "0000-01-02T03:04:05Z", "20260102T030405Z"),
        *("2", "999999999999999999", "2999-01-02T03:04:05Z", "9999-12-31T23:59:59.999999-15:59"),
    ],
)
def test_an_at_that_is_malformed_or_in_the_future_is_refused(
    past: Past, tables: Tables, at: str
) -> None:
    id = tables.configuration(past.id)
    for path, query in reads(past, id):
        refused = past.api.get(path, params=query | {"at": at})
        assert refused.status_code == 400, path
        assert [one["parameter"] for one in refused.json()["errors"]] == ["at"]


def test_a_plus_that_became_a_space_is_told(past: Past, tables: Tables) -> None:
    id = tables.configuration(past.id)
    for path, query in reads(past, id):
        text = f"{httpx.QueryParams(query)}&at=2999-01-02T03:04:05+01:00"
        refused = past.api.get(f"{path}?{text}")
        assert refused.status_code == 400
        assert "%2B" in refused.json()["errors"][0]["detail"]


def test_what_was_does_not_change_and_nobody_waits_for_it(past: Past, tables: Tables) -> None:
    id = tables.configuration(past.id)
    for path, query in reads(past, id):
        for known in ('"0"', '"1"', "*"):
            headers = {"Prefer": "wait=1", "If-None-Match": known}
            refused = past.api.get(path, params=query | {"at": 1}, headers=headers)
            assert refused.status_code == 400
        tag = past.api.get(path, params=query).headers["etag"]
        for given in (f'W/{tag}, "x"', "*"):
            same = past.api.get(path, params=query | {"at": 1}, headers={"If-None-Match": given})
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        head = past.api.head(path, params=query | {"at": 1})
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)


def test_each_way_to_write_a_time_is_understood(past: Past, tables: Tables) -> None:
    id = tables.configuration(past.id)
    tables.rows("update configurations set config = '{\"n\": 1}'")
    [first, second] = past.changes()
    at = time_of(first)
    assert at < time_of(second)
    zones = [timezone(timedelta(hours=hours)) for hours in (0, 14, -12, 15, -15)]
    texts = [at.astimezone(zone).isoformat(timespec="microseconds") for zone in zones]
    texts += [f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", f"{at:%Y-%m-%dT%H:%M:%S.%f}-00:00"]
    # PostgreSQL itself takes no offset of more than 15:59:59.
    texts += [
        at.astimezone(timezone(timedelta(hours=sign * 23, minutes=sign * 59))).isoformat(
            timespec="microseconds"
        )
        for sign in (1, -1)
    ]
    for path, query in reads(past, id):
        then = past.api.get(path, params=query | {"at": 1})
        for text in texts:
            told = past.api.get(path, params=query | {"at": text})
            assert (told.status_code, told.text) == (200, then.text), text
            where = httpx.URL(told.headers["content-location"])
            assert dict(where.params) == {**query, "at": "1"}


@pytest.mark.parametrize("at", ["0", "00", "0001-01-01T00:00:00Z", "2001-01-02T03:04:05.6Z"])
def test_before_the_first_change_the_content_is_empty_and_nothing_else_is_found(
    past: Past, tables: Tables, at: str
) -> None:
    id = tables.configuration(past.id)
    by_name, by_id, content = reads(past, id)
    for path, query in (by_name, by_id):
        assert past.api.get(path, params=query | {"at": at}).status_code == 404
    empty = past.api.get(content[0], params={"at": at})
    assert (empty.text, empty.headers["etag"]) == ('{"sequence":0,"configurations":{}}', '"0"')
    query = by_name[1] | {"optional": "production", "at": at}
    assert past.api.get(by_name[0], params=query).json() == {}


def test_at_a_number_that_the_application_never_had_it_is_as_with_the_one_before(
    past: Past, tables: Tables
) -> None:
    """Before all changes were counted by application, others had numbers between."""
    id = tables.configuration(past.id)
    tables.rows("update configurations set comments = 'x'")
    tables.rows(
        "alter table configuration_revisions disable trigger user;"
        "update configuration_revisions set sequence = sequence * 4 + 1, transaction_id = null;"
        "update configuration_names set since = 5;"
        "alter table configuration_revisions enable trigger user"
    )
    for at, sequence in [(4, 0), (5, 5), (6, 5), (8, 5), (9, 9)]:
        told = past.api.get(f"{past.path}/content", params={"at": at})
        assert (told.json()["sequence"], told.headers["etag"]) == (sequence, f'"{sequence}"')
    assert past.api.get(f"{CONFIGURATIONS}/{id}?at=8").headers["etag"] == '"1"'
    assert past.api.get(f"{CONFIGURATIONS}/{id}?at=10").status_code == 400


def test_the_past_ends_with_the_application_and_goes_by_its_present_name(
    past: Past, tables: Tables
) -> None:
    id = tables.configuration(past.id)
    past.api.put(past.path, json={"name": "renamed"})
    by_name, *_ = reads(past, id)
    assert past.api.get(by_name[0], params=by_name[1] | {"at": 1}).status_code == 404
    past.name = "renamed"
    asked = reads(past, id)
    for path, query in asked:
        assert past.api.get(path, params=query | {"at": 1}).status_code == 200
    past.api.delete(past.path)
    tables.application("renamed")
    for path, query in asked:
        for at in ("1", "999", "2001-01-02T03:04:05Z", "2999-01-02T03:04:05Z"):
            told = past.api.get(path, params=query | {"at": at})
            # Of the new one of the same name, all these are before the first, or yet to come.
            is_new = path == "/api/v1/config" and not at.startswith("2001")
            assert told.status_code == (400 if is_new else 404)


# While others write


def test_what_is_not_committed_does_not_count_and_what_counted_once_counts_for_ever(
    past: Past, tables: Tables, dsn: str
) -> None:
    id = tables.configuration(past.id, config='{"n": 1}')

    def told(at: Any) -> list[tuple[int, str, str | None]]:
        answers = [past.api.get(path, params=query | {"at": at}) for path, query in reads(past, id)]
        return [(one.status_code, one.text, one.headers.get("content-location")) for one in answers]

    before = told(1)
    with closing(psycopg2.connect(dsn)) as psql, psql.cursor() as cursor:
        cursor.execute("update configurations set config = '{\"n\": 2}'")
        cursor.execute("select clock_timestamp()")
        [(between,)] = cursor.fetchall()
        cursor.execute("update configurations set config = '{\"n\": 3}' returning clock_timestamp()")
        [(after,)] = cursor.fetchall()
        # The writer holds its locks, and has written.
        for moment in (between, after):
            at = moment.astimezone(UTC).isoformat()
            assert [text for _, text, _ in told(at)] == [text for _, text, _ in before]
            assert all("at=1" in f"{where}" for *_, where in told(at))
        assert {status for status, *_ in told(2)} == {400}
        assert told(1) == before
        psql.commit()
    assert told(1) == before
    assert told(2) == told(3) != before
    assert all("at=1" in f"{where}" for *_, where in told(between.astimezone(UTC).isoformat()))
    changed = tables.rows(
        "select clock_timestamp() from configurations where id = %s and config = '{\"n\": 3}'", id
    )[0][0]
    assert all("at=3" in f"{where}" for *_, where in told(changed.astimezone(UTC).isoformat()))


def test_what_many_wrote_at_once_is_told_of_each_sequence_as_it_was_seen_then(
    past: Past, tables: Tables, dsn: str
) -> None:
    ids = [tables.configuration(past.id, name) for name in "abcdefgh"]
    # By id and revision, as the writer was told.
    documents = {(id, 1): "{}" for id in ids}
    seen: dict[int, str] = {}

    def write(number: int) -> None:
        for step in range(15):
            id, config = ids[(number + step) % len(ids)], {"by": number, "step": step}
            body = {"name": "abcdefgh"[(number + step) % len(ids)], "config": config}
            done = past.api.put(f"{CONFIGURATIONS}/{id}", json=body)
            documents[id, int(done.headers["etag"].strip('"'))] = exact(config)

    def type_in() -> None:
        with closing(psycopg2.connect(dsn)) as psql, psql.cursor() as cursor:
            for number in range(15):
                for id in ids[:2]:
                    cursor.execute(
                        "update configurations set comments = %s where id = %s"
                        " returning id, revision, config",
                        (f"{number}", id),
                    )
                    [(id, revision, config)] = cursor.fetchall()
                    documents[id, revision] = exact(config)
                psql.commit()

    def look() -> None:
        for _ in range(30):
            told = past.api.get(f"{past.path}/content")
            sequence = told.json()["sequence"]
            assert seen.setdefault(sequence, told.text) == told.text
            assert past.api.get(f"{past.path}/content?at={sequence}").text == told.text

    with ThreadPoolExecutor(10) as pool:
        started = [pool.submit(write, number) for number in range(6)]
        started += [pool.submit(type_in), pool.submit(look), pool.submit(look)]
        for one in started:
            one.result()
    state: dict[str, tuple[int, str]] = {}
    changes = past.changes()
    assert len(changes) == len(documents)
    waiting = list[int]()
    for change in changes:
        id, revision = change["configuration_id"], change["revision"]
        state[change["name"]] = revision, documents[id, revision]
        waiting.append(change["sequence"])
        if change["sequence"] == change["transaction"]:
            for sequence in waiting:
                told = past.api.get(f"{past.path}/content?at={sequence}")
                assert told.headers["etag"] == f'"{change["transaction"]}"'
                found = content_of(told)
                assert {name: (i.revision, i.config) for name, i in found.items()} == state
            waiting.clear()
    for sequence, text in seen.items():
        assert past.api.get(f"{past.path}/content?at={sequence}").text == text


# Who may know


CANARY, ALL, OWN = "canary-of-the-other", "all-secret", "own-secret"


@pytest.fixture(scope="module")
def guard(dsn: str) -> Iterator[Server]:
    """A service with a token for everything, and one for the application `own`."""
    tokens = [f"{name}:write:{hash_of(name.encode())}" for name in (ALL, OWN)]
    server = Server(DATABASE_URL=dsn, API_TOKENS=",".join(tokens) + ":own").start()
    hold(server.client)
    yield server
    server.stop()


type Try = tuple[str, str, dict[str, Any]]


def tries(application: str, name: str, id: str, own: str) -> list[Try]:
    """How to get at what an application was."""
    moments = ["0", "1", "3", "999", "2001-01-02T03:04:05Z", "2999-01-02T03:04:05Z"]
    by_name = {"application": name, "name": "production"}
    path, all_of_it = f"{CONFIGURATIONS}/{id}", f"{APPLICATIONS}/{application}"
    return [
        *(("GET", "/api/v1/config", by_name | {"at": at}) for at in moments),
        *(("GET", "/api/v1/config", by_name | {"at": at, "explain": "true"}) for at in moments),
        *(("GET", "/api/v1/config", by_name | {"at": a, "optional": "production"}) for a in "013"),
        *(("GET", path, {"at": at}) for at in moments),
        *(("GET", f"{all_of_it}/content", {"at": at}) for at in moments),
        *(("GET", f"{path}/revisions", {"path": pointer}) for pointer in ("", "/a", "/nobody")),
        *(("GET", f"{path}/revisions", {"path": "/a", "before": before}) for before in (1, 2, 99)),
        *(("GET", f"{path}/diff", query) for query in [{}, {"from": 1}, {"to": 1}, {"to": 99}]),
        *(("GET", f"{path}/diff", {"from": 1, "other": own} | query) for query in [{}, {"to": 1}]),
        *(("GET", f"{CONFIGURATIONS}/{own}/diff", {"other": id} | to) for to in [{}, {"to": 1}]),
        *(("GET", f"{CONFIGURATIONS}/{own}/diff", {"other": id, "to": to}) for to in (3, 99)),
        *(("POST", f"{all_of_it}/rollback", {"dry_run": dry}) for dry in ("true", "false")),
        ("POST", f"{all_of_it}/rollback", {"deletes": 1}),
    ]


@pytest.mark.parametrize(
    "fate",
    [
        "select",
        "delete from configurations where id = '{id}'",
        "update configurations set name = 'renamed' where id = '{id}'",
        "update applications set name = 'renamed' where id = '{application}'",
        "delete from applications where id = '{application}'",
    ],
)
def test_a_confined_token_learns_nothing_of_what_another_application_was(
    guard: Server, past: Past, tables: Tables, fate: str
) -> None:
    own = tables.configuration(tables.application("own"))
    name = f"name-{CANARY}"
    application = tables.application(name)
    id = tables.configuration(application, config=f'{{"a": "{CANARY}"}}')
    tables.rows("update configurations set config = %s where id = %s", f'{{"b": "{CANARY}"}}', id)
    tables.rows(fate.format(id=id, application=application))
    history = "select * from configuration_revisions order by configuration_id, revision"
    before = tables.rows(history)

    def ask(token: str, one: Try) -> httpx.Response:
        method, path, query = one
        headers = {"Authorization": f"Bearer {token}", **ANY}
        body = {"sequence": 1} if method == "POST" else None
        return guard.client.request(method, path, params=query, json=body, headers=headers)

    nowhere = tries(NOWHERE, "nowhere", NOWHERE, own)
    for one, in_vain in zip(tries(application, name, id, own), nowhere, strict=True):
        refused, missing = ask(OWN, one), ask(OWN, in_vain)
        # Not even that there was something.
        assert refused.status_code == missing.status_code == 404, one
        assert refused.text == missing.text.replace("nowhere", name)
        assert CANARY not in refused.text.replace(name, "")
    assert tables.rows(history) == before
    if "applications" not in fate:
        told = [ask(ALL, one).status_code for one in tries(application, name, id, own)]
        assert told.count(200) > len(told) / 3


def test_a_confined_token_reads_all_that_its_own_application_was(
    guard: Server, tables: Tables
) -> None:
    own = tables.application("own")
    id = tables.configuration(own, config='{"a": 1}')
    tables.rows("update configurations set name = 'renamed'")
    tables.rows("delete from configurations")
    headers = {"Authorization": f"Bearer {OWN}", **ANY}
    for path, query in [
        ("/api/v1/config", {"application": "own", "name": "production", "at": 1}),
        (f"{CONFIGURATIONS}/{id}", {"at": 2}),
        (f"{APPLICATIONS}/{own}/content", {"at": 1}),
        (f"{CONFIGURATIONS}/{id}/revisions", {"path": "/a"}),
        (f"{CONFIGURATIONS}/{id}/diff", {"from": 1, "to": 2, "other": id}),
    ]:
        assert guard.client.get(path, params=query, headers=headers).status_code == 200
    back = guard.client.post(
        f"{APPLICATIONS}/{own}/rollback", json={"sequence": 1}, headers=headers
    )
    assert (back.status_code, back.headers["etag"]) == (200, '"4"')
    assert tables.rows("select actor, action from configuration_revisions where revision = 4") == [
        (OWN, "rollback")
    ]
