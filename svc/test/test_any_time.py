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
        """Two exchange their names; one has a third name meanwhile."""
        if len(self.items) < 2:
            return
        first, second = self.random.sample(sorted(self.items), 2)
        names = self.items[first].name, self.items[second].name
        for id, name in [(first, "meanwhile"), (second, names[0]), (first, names[1])]:
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
