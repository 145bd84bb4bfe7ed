import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import CheckViolation

from conftest import Repositories, Tables, eventually
from features.content.patch import repository

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
LONG = f'{{"a": [{", ".join(["1e308"] * 4000)}]}}'  # printed it has 1.2 MB
A, B, C = "a", "b", "c"
BLOCKED = """
    select from pg_stat_activity
    where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0
"""

type Items = dict[str, dict[str, Any] | None]


@pytest.fixture
def owner(tables: Tables) -> str:
    """An application with the configurations a, b and c, whose last change is 3."""
    made = tables.application()
    for name in (C, B, A):
        tables.configuration(made, name, '{"rate": 1.10}')
    tables.configuration(tables.application("other"), A)
    return made


def content(tables: Tables, owner: str) -> list[tuple[Any, ...]]:
    return tables.rows(
        "select name, revision, comments, config::text from configurations"
        " where application_id = %s order by name",
        owner,
    )


def changes(told: dict[str, Any]) -> list[dict[str, Any]]:
    """What was done; it says the same sequence as the row."""
    body = json.loads(told["body"])
    assert body["sequence"] == told["sequence"]
    listed: list[dict[str, Any]] = body["changes"]
    return listed


def test_what_is_named_changes_as_one_and_the_rest_stays(
    run: Repositories, tables: Tables, owner: str
) -> None:
    items: Items = {
        "new": {"config": '{"on": true, "off": null}', "comments": "ours"},
        A: {"config": '{"rate": null, "b": 12345678901234567890}'},
        C: None,
    }
    told = run(repository.patch(owner, items, [3]), note="why", actor="ann")
    assert (told["previous"], told["sequence"]) == (3, 6)
    assert changes(told) == [
        {
            "name": A,
            "action": "update",
            "revision": 2,
            "patch": [
                {"op": "add", "path": "/b", "value": 12345678901234567890},
                {"op": "remove", "path": "/rate"},
            ],
        },
        {"name": C, "action": "delete", "revision": 2, "patch": []},
        {
            "name": "new",
            "action": "create",
            "revision": 1,
            "patch": [{"op": "add", "path": "/on", "value": True}],
        },
    ]
    assert content(tables, owner) == [
        (A, 2, None, '{"b": 12345678901234567890}'),
        (B, 1, None, '{"rate": 1.10}'),
        ("new", 1, "ours", '{"on": true}'),
    ]
    done = tables.rows(
        "select name, action, note, actor, transaction_id from configuration_revisions"
        " where application_id = %s and sequence > 3 order by name",
        owner,
    )
    assert [one[:4] for one in done] == [
        (A, "update", "why", "ann"),
        (C, "delete", "why", "ann"),
        ("new", "create", "why", "ann"),
    ]
    assert len({one[4] for one in done}) == 1


@pytest.mark.parametrize(
    "items",
    [
        {},
        {A: {}},
        {A: {"config": "{}"}, B: {"config": '{"rate": 1.10, "gone": null}'}},
        {C: {"comments": None}},
        {"absent": None},
        {A: {"revision": 1}, "absent": None},
    ],
)
def test_where_there_is_nothing_to_do_nothing_is_recorded(
    run: Repositories, tables: Tables, owner: str, items: Items
) -> None:
    before = content(tables, owner)
    told = run(repository.patch(owner, items, None))
    assert (told["previous"], told["sequence"], changes(told)) == (3, 3, [])
    assert content(tables, owner) == before


def test_a_number_that_is_written_otherwise_is_another(
    run: Repositories, tables: Tables, owner: str
) -> None:
    told = run(repository.patch(owner, {A: {"config": '{"rate": 1.1}'}}, None))
    assert told["body"] == (
        '{"sequence":4,"changes":[{"name":"a","action":"update","revision":2,'
        '"patch":[{"op": "replace", "path": "/rate", "value": 1.1}]}]}'
    )


def test_comments_that_are_left_out_stay_and_null_removes_them(
    run: Repositories, tables: Tables, owner: str
) -> None:
    run(repository.patch(owner, {A: {"comments": "ours"}, B: {"comments": "ours"}}, None))
    told = run(repository.patch(owner, {A: {"comments": None}, B: {"config": "{}"}}, None))
    assert [(one["name"], one["patch"]) for one in changes(told)] == [(A, [])]
    assert [row[2] for row in content(tables, owner)] == [None, "ours", None]


@pytest.mark.parametrize("sequences", [None, [3], [7, 3]])
def test_the_last_change_is_one_of_those_that_it_may_be(
    run: Repositories, owner: str, sequences: list[int] | None
) -> None:
    assert run(repository.patch(owner, {A: None}, sequences))["sequence"] == 4


@pytest.mark.parametrize("sequences", [[], [2, 4], [0]])
@pytest.mark.parametrize("items", [{A: None}, {A: {}}, {A: {"config": LONG}}, {A: {"revision": 7}}])
def test_after_another_change_nothing_is_done(
    run: Repositories, tables: Tables, owner: str, items: Items, sequences: list[int]
) -> None:
    before = content(tables, owner)
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.patch(owner, items, sequences))
    assert raised.value.sequence == 3
    assert content(tables, owner) == before


def test_before_the_first_change_the_sequence_is_0(run: Repositories, tables: Tables) -> None:
    empty = tables.application()
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.patch(empty, {A: {}}, [1]))
    assert raised.value.sequence == 0
    told = run(repository.patch(empty, {A: {}}, [0]))
    assert (told["previous"], told["sequence"]) == (0, 1)


def test_each_item_may_say_the_revision_that_it_must_be_at(
    run: Repositories, tables: Tables, owner: str
) -> None:
    items: Items = {A: {"revision": 1, "config": "{}"}, "new": {"revision": 0}, B: None}
    assert len(changes(run(repository.patch(owner, items, None)))) == 2
    items = {
        A: {"revision": 2},
        C: {"revision": 0, "config": '{"x": 1}'},
        "absent": {"revision": 1},
        "new": {"revision": 1, "config": '{"x": 1}'},
    }
    before = content(tables, owner)
    with pytest.raises(repository.OtherRevisions) as raised:
        run(repository.patch(owner, items, None))
    assert (raised.value.sequence, raised.value.names) == (5, [A, "absent", C])
    assert content(tables, owner) == before


def test_at_most_20_are_named(run: Repositories, tables: Tables, owner: str) -> None:
    with pytest.raises(repository.OtherRevisions) as raised:
        run(repository.patch(owner, {f"n{n:02}": {"revision": 7} for n in range(50)}, None))
    assert raised.value.names == [f"n{n:02}" for n in range(20)]


def test_documents_that_are_long_to_print_are_too_large_and_nothing_is_done(
    run: Repositories, tables: Tables, owner: str
) -> None:
    before = content(tables, owner)
    items: Items = {B: {"config": LONG}, A: {"comments": "new"}, "new": {"config": LONG}, C: None}
    with pytest.raises(repository.TooLarge) as raised:
        run(repository.patch(owner, items, None))
    assert raised.value.names == [B, "new"]
    assert content(tables, owner) == before


def test_a_document_of_very_many_members_changes_in_time(run: Repositories, owner: str) -> None:
    for turn in (1, 2):
        config = json.dumps({f"m{n}": {"turn": turn} for n in range(40_000)})
        told = run(repository.patch(owner, {A: {"config": config}}, None))
        assert told["sequence"] == told["previous"] + 1


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables, owner: str
) -> None:
    tried: list[Items] = [{}, {A: {}}, {A: None}]
    for items in tried:
        with pytest.raises(repository.NotFound):
            run(repository.patch(NOWHERE, items, None))
        with pytest.raises(repository.NotFound):
            run(repository.patch(owner, items, [7]), confined_to="other")
    assert run(repository.patch(owner, {A: None}, None), confined_to="billing")["sequence"] == 4


def test_another_constraint_passes_untouched(run: Repositories, owner: str) -> None:
    with pytest.raises(CheckViolation):
        run(repository.patch(owner, {" new": {}}, None))


def test_a_dry_run_tells_the_plan_and_leaves_no_trace(
    run: Repositories, tables: Tables, owner: str
) -> None:
    items: Items = {A: {"config": '{"x": 1}'}, B: None, "new": {}}
    everything = "select * from configuration_revisions order by configuration_id, revision"
    before = content(tables, owner), tables.rows(everything)
    tried = run(repository.patch(owner, items, None), dry_run=True, note="why")
    assert (content(tables, owner), tables.rows(everything)) == before
    assert tried["previous"] == 3
    assert run(repository.patch(owner, items, [tried["previous"]])) == tried
    with pytest.raises(repository.PreconditionFailed):
        run(repository.patch(owner, items, [tried["previous"]]))


def test_where_history_is_trimmed_the_change_before_is_still_known(
    tables: Tables, owner: str
) -> None:
    [(previous, sequence)] = tables.rows(
        "set local config_service.history_keep_revisions = 1;"
        "select previous, sequence from change_content(%s, array(select row("
        "  'new', name, false, true, 'new', '{}', null)::wanted_configuration"
        "  from unnest('{a,b,c}'::text[]) as name"
        "), 'patch', array[3], 0)",
        owner,
    )
    assert (previous, sequence) == (3, 6)


def test_what_another_commits_meanwhile_counts(
    run: Repositories, tables: Tables, owner: str, dsn: str
) -> None:
    """It waits for what the other has changed, and then goes by what the other made of it."""
    with (
        closing(psycopg2.connect(dsn)) as other,
        other.cursor() as cursor,
        ThreadPoolExecutor(1) as client,
    ):
        cursor.execute(
            "insert into configurations (id, application_id, name, config)"
            " values (%s, %s, 'new', '{\"x\": 1, \"y\": 1}')",
            (NOWHERE, owner),
        )
        items: Items = {"new": {"config": '{"x": 2}'}, A: {"config": '{"x": 2}'}}
        waits = client.submit(run, repository.patch(owner, items, None))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.commit()
        told = waits.result()
    assert told["previous"] == 4
    done = [(one["name"], one["action"]) for one in changes(told)]
    assert done == [(A, "update"), ("new", "update")]
    assert content(tables, owner)[3] == ("new", 2, None, '{"x": 2, "y": 1}')


def test_a_precondition_is_held_against_what_another_commits_meanwhile(
    run: Repositories, tables: Tables, owner: str, dsn: str
) -> None:
    with (
        closing(psycopg2.connect(dsn)) as other,
        other.cursor() as cursor,
        ThreadPoolExecutor(1) as client,
    ):
        cursor.execute("update configurations set comments = 'x' where name = 'c'")
        waits = client.submit(run, repository.patch(owner, {A: {"comments": "y"}}, [3]))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.commit()
        with pytest.raises(repository.PreconditionFailed) as raised:
            waits.result()
    assert raised.value.sequence == 4
    assert [row[2] for row in content(tables, owner)] == [None, None, "x"]


def test_where_the_application_is_deleted_meanwhile_it_is_not_found(
    run: Repositories, tables: Tables, owner: str, dsn: str
) -> None:
    with (
        closing(psycopg2.connect(dsn)) as other,
        other.cursor() as cursor,
        ThreadPoolExecutor(1) as client,
    ):
        cursor.execute("delete from applications where id = %s", (owner,))
        waits = client.submit(run, repository.patch(owner, {"new": {}}, None))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.commit()
        with pytest.raises(repository.NotFound):
            waits.result()
    assert content(tables, owner) == []
