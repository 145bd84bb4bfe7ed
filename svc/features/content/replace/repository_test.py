import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import CheckViolation
from psycopg2.extensions import cursor

import database
from conftest import Repositories, Tables, eventually
from features.content.replace import repository
from features.content.replace.models import ReplaceContentItem
from wire.documents import ObjectText

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
LONG = f'{{"a": [{", ".join(["1e308"] * 4000)}]}}'  # printed it has 1.2 MB
RATE = '{"rate": 1.10}'
AS_IT_IS = dict.fromkeys("abc", RATE)
BLOCKED = """
    select from pg_stat_activity
    where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0
"""


async def replace(
    id: str,
    configs: dict[str, str],
    deletes: int = 0,
    sequences: list[int] | None = None,
    **comments: str,
) -> database.Row:
    """The content becomes these documents, with `comments` by the names of configurations."""
    items = {
        name: ReplaceContentItem.model_validate(
            {"config": ObjectText(config), "comments": comments.get(name)}
        )
        for name, config in configs.items()
    }
    return await repository.replace(id, items, deletes, sequences)


@pytest.fixture
def owner(tables: Tables) -> str:
    """An application with the configurations a, b and c, whose last change is 3."""
    made = tables.application()
    for name in "cba":
        tables.configuration(made, name, RATE)
    tables.configuration(tables.application("other"), "a")
    return made


@pytest.fixture
def other(dsn: str) -> Iterator[cursor]:
    """Another client, in a transaction."""
    with closing(psycopg2.connect(dsn)) as opened, opened.cursor() as its:
        yield its


def content(tables: Tables, owner: str) -> list[tuple[Any, ...]]:
    return tables.rows(
        "select name, revision, comments, config::text from configurations"
        " where application_id = %s order by name",
        owner,
    )


def done(told: database.Row) -> list[tuple[str, str, int]]:
    """What was done; it says the same sequence as the row."""
    body = json.loads(told["body"])
    assert body["sequence"] == told["sequence"]
    return [(one["name"], one["action"], one["revision"]) for one in body["changes"]]


def test_the_content_is_what_was_given_and_what_is_equal_is_left_alone(
    run: Repositories, tables: Tables, owner: str
) -> None:
    configs = {"new": '{"on": null}', "b": RATE, "a": '{"rate": 1.1}'}
    told = run(replace(owner, configs, 1, [3], a="ours"), note="why", actor="ann")
    assert (told["previous"], told["sequence"]) == (3, 6)
    assert json.loads(told["body"])["changes"] == [
        {
            "name": "a",
            "action": "update",
            "revision": 2,
            "patch": [{"op": "replace", "path": "/rate", "value": 1.1}],
        },
        {"name": "c", "action": "delete", "revision": 2, "patch": []},
        {
            "name": "new",
            "action": "create",
            "revision": 1,
            "patch": [{"op": "add", "path": "/on", "value": None}],
        },
    ]
    assert content(tables, owner) == [
        ("a", 2, "ours", '{"rate": 1.1}'),
        ("b", 1, None, RATE),
        ("new", 1, None, '{"on": null}'),
    ]
    recorded = tables.rows(
        "select note, actor, transaction_id from configuration_revisions"
        " where application_id = %s and sequence > 3",
        owner,
    )
    assert [one[:2] for one in recorded] == [("why", "ann")] * 3
    assert len({one[2] for one in recorded}) == 1


def test_the_same_content_again_changes_nothing(
    run: Repositories, tables: Tables, owner: str
) -> None:
    told = run(replace(owner, AS_IT_IS))
    assert (told["previous"], told["sequence"], done(told)) == (3, 3, [])
    assert tables.rows("select revision from applications where id = %s", owner) == [(4,)]


def test_comments_that_are_left_out_become_null(
    run: Repositories, tables: Tables, owner: str
) -> None:
    tables.rows("update configurations set comments = 'ours' where name = 'a'")
    told = run(replace(owner, AS_IT_IS))
    assert done(told) == [("a", "update", 3)]
    assert [row[2] for row in content(tables, owner)] == [None, None, None]


@pytest.mark.parametrize("deletes", [0, 1, 3])
def test_another_number_of_deletions_is_refused_with_the_number_and_their_names(
    run: Repositories, tables: Tables, owner: str, deletes: int
) -> None:
    before = content(tables, owner)
    with pytest.raises(repository.OtherDeletions) as raised:
        run(replace(owner, {"b": "{}", "new": "{}"}, deletes))
    assert (raised.value.number, raised.value.names) == (2, ["a", "c"])
    assert content(tables, owner) == before


def test_a_number_where_nothing_would_go_is_refused(run: Repositories, owner: str) -> None:
    with pytest.raises(repository.OtherDeletions) as raised:
        run(replace(owner, AS_IT_IS, 1))
    assert (raised.value.number, raised.value.names) == (0, [])


def test_an_application_is_emptied_where_that_is_meant(
    run: Repositories, tables: Tables, owner: str
) -> None:
    told = run(replace(owner, {}, 3))
    assert done(told) == [(name, "delete", 2) for name in "abc"]
    assert content(tables, owner) == []
    assert done(run(replace(owner, {}))) == []


def test_at_most_20_are_named(run: Repositories, tables: Tables) -> None:
    owner = tables.application("large")
    for n in range(30):
        tables.configuration(owner, f"n{n:02}")
    with pytest.raises(repository.OtherDeletions) as raised:
        run(replace(owner, {}))
    assert (raised.value.number, raised.value.names) == (30, [f"n{n:02}" for n in range(20)])


@pytest.mark.parametrize("sequences", [[], [2, 4], [0]])
@pytest.mark.parametrize("configs", [AS_IT_IS, {}, {"a": LONG}])
def test_after_another_change_nothing_is_done_whatever_else_is_wrong(
    run: Repositories, tables: Tables, owner: str, configs: dict[str, str], sequences: list[int]
) -> None:
    before = content(tables, owner)
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(replace(owner, configs, 0, sequences))
    assert raised.value.sequence == 3
    assert content(tables, owner) == before


def test_documents_that_are_long_to_print_are_too_large_and_nothing_is_done(
    run: Repositories, tables: Tables, owner: str
) -> None:
    before = content(tables, owner)
    with pytest.raises(repository.TooLarge) as raised:
        run(replace(owner, {"new": LONG, "a": LONG, "b": "{}"}, 1))
    assert raised.value.names == ["a", "new"]
    assert content(tables, owner) == before


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables, owner: str
) -> None:
    for configs in ({}, AS_IT_IS):
        with pytest.raises(repository.NotFound):
            run(replace(NOWHERE, configs))
        with pytest.raises(repository.NotFound):
            run(replace(owner, configs, 0, [7]), confined_to="other")
    assert run(replace(owner, AS_IT_IS), confined_to="billing")["sequence"] == 3


def test_another_constraint_passes_untouched(run: Repositories, owner: str) -> None:
    with pytest.raises(CheckViolation):
        run(replace(owner, {**AS_IT_IS, " new": "{}"}))


def test_a_dry_run_tells_the_plan_and_leaves_no_trace(
    run: Repositories, tables: Tables, owner: str
) -> None:
    configs = {"a": "{}", "b": RATE, "new": "{}"}
    everything = "select * from configuration_revisions order by configuration_id, revision"
    before = content(tables, owner), tables.rows(everything)
    tried = run(replace(owner, configs, 1), dry_run=True, note="why")
    with pytest.raises(repository.OtherDeletions):
        run(replace(owner, configs), dry_run=True)
    assert (content(tables, owner), tables.rows(everything)) == before
    assert run(replace(owner, configs, 1, [tried["previous"]])) == tried


def test_the_plan_is_refused_after_any_change_between(
    run: Repositories, tables: Tables, owner: str
) -> None:
    tried = run(replace(owner, AS_IT_IS, 0), dry_run=True)
    tables.rows("update configurations set comments = 'new' where name = 'a'")
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(replace(owner, AS_IT_IS, 0, [tried["previous"]]))
    assert raised.value.sequence == 4


@pytest.mark.parametrize("deletes", [0, 1])
def test_what_another_creates_meanwhile_counts_as_a_deletion(
    run: Repositories, tables: Tables, owner: str, other: cursor, deletes: int
) -> None:
    other.execute(
        "insert into configurations (id, application_id, name, config) values (%s, %s, 'z', '{}')",
        (NOWHERE, owner),
    )
    with ThreadPoolExecutor(1) as client:
        waits = client.submit(run, replace(owner, {**AS_IT_IS, "a": "{}"}, deletes))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.connection.commit()
        if deletes:
            assert done(waits.result()) == [("a", "update", 2), ("z", "delete", 2)]
        else:
            with pytest.raises(repository.OtherDeletions) as raised:
                waits.result()
            assert (raised.value.number, raised.value.names) == (1, ["z"])


def test_what_another_deletes_or_renames_meanwhile_is_made_again(
    run: Repositories, tables: Tables, owner: str, other: cursor
) -> None:
    other.execute("delete from configurations where name = 'a' and application_id = %s", [owner])
    other.execute(
        "update configurations set name = 'z' where name = 'b' and application_id = %s", [owner]
    )
    with ThreadPoolExecutor(1) as client:
        waits = client.submit(run, replace(owner, AS_IT_IS, 1))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.connection.commit()
        told = waits.result()
    assert told["previous"] == 5
    assert done(told) == [("a", "create", 1), ("b", "create", 1), ("z", "delete", 3)]
    assert [row[0] for row in content(tables, owner)] == ["a", "b", "c"]


def test_where_the_application_is_deleted_meanwhile_it_is_not_found(
    run: Repositories, tables: Tables, owner: str, other: cursor
) -> None:
    other.execute("delete from applications where id = %s", (owner,))
    with ThreadPoolExecutor(1) as client:
        waits = client.submit(run, replace(owner, {**AS_IT_IS, "new": "{}"}))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.connection.commit()
        with pytest.raises(repository.NotFound):
            waits.result()
