import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import cursor

import database
from conftest import Repositories, Tables, eventually
from features.content.rollback import repository
from wire.types import new_ulid

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
BLOCKED = """
    select from pg_stat_activity
    where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0
"""


@pytest.fixture
def owner(tables: Tables) -> str:
    """An application with the configurations a, b and c, whose last change is 3."""
    made = tables.application()
    for name in "abc":
        tables.configuration(made, name, f'{{"of": "{name}", "rate": 1.10}}')
    tables.configuration(tables.application("other"), "a")
    return made


@pytest.fixture
def other(dsn: str) -> Iterator[cursor]:
    """Another client, in a transaction."""
    with closing(psycopg2.connect(dsn)) as opened, opened.cursor() as its:
        yield its


def content(tables: Tables, owner: str) -> list[tuple[Any, ...]]:
    return tables.rows(
        "select name, id, comments, config::text from configurations"
        " where application_id = %s order by name",
        owner,
    )


def rename(tables: Tables, owner: str, **names: str) -> None:
    """Each gets its new name; first all give up the one that they have."""
    ids = {name: one for name, one, *_ in content(tables, owner)}
    for old in names:
        tables.rows("update configurations set name = id where id = %s", ids[old])
    for old, new in names.items():
        tables.rows("update configurations set name = %s where id = %s", new, ids[old])


def done(told: database.Row) -> list[tuple[str, str, int]]:
    """What was done; it says the same sequence as the row."""
    body = json.loads(told["body"])
    assert body["sequence"] == told["sequence"]
    return [(one["name"], one["action"], one["revision"]) for one in body["changes"]]


def test_what_changed_changes_back_what_was_deleted_comes_back_and_what_is_later_goes(
    run: Repositories, tables: Tables, owner: str
) -> None:
    before = content(tables, owner)
    tables.rows(
        "update configurations set config = '{\"rate\": 1.1}', comments = 'x' where name = 'a'"
    )
    tables.rows("delete from configurations where name = 'b'")
    tables.configuration(owner, "later")
    [[last]] = tables.rows("select max(sequence) from configuration_revisions")
    told = run(repository.rollback(owner, 3, 1, [last]), note="why", actor="ann")
    assert (told["previous"], told["sequence"]) == (last, last + 3)
    assert json.loads(told["body"])["changes"] == [
        {
            "name": "a",
            "action": "rollback",
            "revision": 3,
            "patch": [
                {"op": "add", "path": "/of", "value": "a"},
                {"op": "replace", "path": "/rate", "value": 1.10},
            ],
        },
        {
            "name": "b",
            "action": "rollback",
            "revision": 3,
            "patch": [
                {"op": "add", "path": "/of", "value": "b"},
                {"op": "add", "path": "/rate", "value": 1.10},
            ],
        },
        {"name": "later", "action": "delete", "revision": 2, "patch": []},
    ]
    assert content(tables, owner) == before
    recorded = tables.rows(
        "select note, actor, transaction_id from configuration_revisions"
        " where application_id = %s and sequence > %s",
        *(owner, last),
    )
    assert [one[:2] for one in recorded] == [("why", "ann")] * 3
    assert len({one[2] for one in recorded}) == 1


@pytest.mark.parametrize(
    "names",
    [
        {"a": "b", "b": "a"},
        {"a": "b", "b": "c", "c": "a"},
        {"a": "b", "b": "new"},
        {"b": "it's another"},
    ],
    ids=["exchanged", "round", "taken over", "new"],
)
def test_names_go_back_to_those_who_had_them(
    run: Repositories, tables: Tables, owner: str, names: dict[str, str]
) -> None:
    before = content(tables, owner)
    rename(tables, owner, **names)
    renamed = content(tables, owner)
    [[last]] = tables.rows("select max(sequence) from configuration_revisions")
    told = run(repository.rollback(owner, 3, 0, None))
    # The names are those afterwards.
    assert [one[:2] for one in done(told)] == [(name, "rollback") for name in sorted(names)]
    assert content(tables, owner) == before
    told = run(repository.rollback(owner, last, 0, None))
    assert [one[0] for one in done(told)] == sorted(names.values())
    assert content(tables, owner) == renamed


def test_a_name_that_another_took_over_after_a_deletion_comes_back(
    run: Repositories, tables: Tables, owner: str
) -> None:
    before = content(tables, owner)
    tables.rows("delete from configurations where name = 'a' and application_id = %s", owner)
    tables.rows("update configurations set name = 'a' where name = 'b'")
    tables.configuration(owner, "b", '{"later": true}')
    told = run(repository.rollback(owner, 3, 1, None))
    assert done(told) == [("a", "rollback", 3), ("b", "delete", 2), ("b", "rollback", 3)]
    assert content(tables, owner) == before


def test_back_to_0_empties_it_and_to_where_it_is_changes_nothing(
    run: Repositories, tables: Tables, owner: str
) -> None:
    assert done(run(repository.rollback(owner, 3, 0, None))) == []
    assert tables.rows("select revision from applications where id = %s", owner) == [(4,)]
    told = run(repository.rollback(owner, 0, 3, None))
    assert done(told) == [(name, "delete", 2) for name in "abc"]
    assert content(tables, owner) == []


def test_a_sequence_within_a_transaction_is_that_of_its_last_change(
    run: Repositories, tables: Tables, owner: str
) -> None:
    tables.rows("update configurations set comments = 'x' where application_id = %s", owner)
    after = content(tables, owner)
    tables.rows("delete from configurations where application_id = %s", owner)
    run(repository.rollback(owner, 4, 0, None))
    assert content(tables, owner) == after


@pytest.mark.parametrize("deletes", [0, 1, 3])
def test_another_number_of_deletions_is_refused_with_the_number_and_their_names(
    run: Repositories, tables: Tables, owner: str, deletes: int
) -> None:
    before = content(tables, owner)
    with pytest.raises(repository.OtherDeletions) as raised:
        run(repository.rollback(owner, 1, deletes, None))
    assert (raised.value.number, raised.value.names) == (2, ["b", "c"])
    assert content(tables, owner) == before


def test_the_future_is_refused(run: Repositories, owner: str) -> None:
    with pytest.raises(repository.InFuture):
        run(repository.rollback(owner, 4, 0, None))


def test_what_is_trimmed_is_missed_and_nothing_else_is(
    run: Repositories, tables: Tables, owner: str
) -> None:
    tables.rows("set config_service.history_keep_revisions = 1")
    tables.rows("update configurations set comments = 'x' where name = 'a'")
    tables.rows("update configurations set comments = 'y' where name = 'b'")
    tables.rows("reset config_service.history_keep_revisions")
    before = content(tables, owner)
    for sequence in (1, 2, 3, 4):
        with pytest.raises(repository.Trimmed):
            run(repository.rollback(owner, sequence, 0, None))
    assert content(tables, owner) == before
    assert done(run(repository.rollback(owner, 5, 0, None))) == []
    assert len(done(run(repository.rollback(owner, 0, 3, None)))) == 3


@pytest.mark.parametrize("sequences", [[], [2, 4], [0]])
@pytest.mark.parametrize("sequence", [0, 1, 3])
def test_after_another_change_nothing_is_done(
    run: Repositories, tables: Tables, owner: str, sequence: int, sequences: list[int]
) -> None:
    before = content(tables, owner)
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.rollback(owner, sequence, 0, sequences))
    assert raised.value.sequence == 3
    assert content(tables, owner) == before


@pytest.mark.parametrize("renamed", ["", "a"])
def test_documents_that_are_too_large_by_now_are_named_and_nothing_is_done(
    run: Repositories, tables: Tables, owner: str, renamed: str
) -> None:
    long = f'{{"a": [{", ".join(["1e308"] * 4000)}]}}'  # printed it has 1.2 MB
    tables.rows("update configurations set config = %s where name = 'a'", long)
    tables.rows("update configurations set config = '{}' where name = 'a'")
    tables.rows("update configurations set name = name || %s where name = 'a'", renamed)
    before = content(tables, owner)
    with pytest.raises(repository.TooLarge) as raised:
        run(repository.rollback(owner, 4, 0, None))
    assert raised.value.names == ["a"]
    assert content(tables, owner) == before


def test_a_document_as_large_as_may_be_gets_its_name_back(
    run: Repositories, tables: Tables, owner: str
) -> None:
    body = "select octet_length(configuration_body(configurations)) from configurations"
    [[size]] = tables.rows(f"{body} where name = 'c'")
    fitting = "x" * (1_048_576 - size - len(', "x": ""'))
    tables.rows(
        "update configurations set config = config || jsonb_build_object('x', %s) where name = 'c'",
        fitting,
    )
    assert tables.rows(f"{body} where name = 'c'") == [(1_048_576,)]
    before = content(tables, owner)
    tables.rows("update configurations set name = 'd' where name = 'c'")
    assert done(run(repository.rollback(owner, 4, 0, None))) == [("c", "rollback", 4)]
    assert content(tables, owner) == before


def test_what_is_not_there_or_not_the_callers_is_not_found(run: Repositories, owner: str) -> None:
    with pytest.raises(repository.NotFound):
        run(repository.rollback(NOWHERE, 0, 0, None))
    # Before anything else is judged.
    for sequence, sequences in ((99, None), (0, [7])):
        with pytest.raises(repository.NotFound):
            run(repository.rollback(owner, sequence, 0, sequences), confined_to="other")
    assert run(repository.rollback(owner, 3, 0, None), confined_to="billing")["sequence"] == 3


def test_a_dry_run_tells_the_plan_and_leaves_no_trace(
    run: Repositories, tables: Tables, owner: str
) -> None:
    rename(tables, owner, a="b", b="a")
    everything = "select * from {} order by 1, 2, 3, 4"
    stored = [everything.format(f"configuration{table}") for table in ("s", "_names", "_revisions")]
    before = [tables.rows(one) for one in stored]
    tried = run(repository.rollback(owner, 2, 1, None), dry_run=True)
    assert [tables.rows(one) for one in stored] == before
    assert run(repository.rollback(owner, 2, 1, [tried["previous"]])) == tried


INSERT = "insert into configurations (id, application_id, name, config) values (%s, %s, %s, '{}')"


@pytest.mark.parametrize("name", ["a", "z"])
@pytest.mark.parametrize("deletes", [0, 1])
def test_what_another_creates_meanwhile_counts_as_a_deletion(
    run: Repositories, tables: Tables, owner: str, other: cursor, name: str, deletes: int
) -> None:
    tables.rows("delete from configurations where name = 'a' and application_id = %s", owner)
    other.execute(INSERT, (NOWHERE, owner, name))
    with ThreadPoolExecutor(1) as client:
        waits = client.submit(run, repository.rollback(owner, 3, deletes, None))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.connection.commit()
        if deletes:
            assert set(done(waits.result())) == {(name, "delete", 2), ("a", "rollback", 3)}
            assert [one[0] for one in content(tables, owner)] == ["a", "b", "c"]
        else:
            with pytest.raises(repository.OtherDeletions) as raised:
                waits.result()
            assert (raised.value.number, raised.value.names) == (1, [name])


def test_what_another_renames_and_deletes_meanwhile_is_put_back(
    run: Repositories, tables: Tables, owner: str, other: cursor
) -> None:
    before = content(tables, owner)
    tables.rows("update configurations set comments = 'x' where name = 'c'")
    other.execute("delete from configurations where name = 'a' and application_id = %s", [owner])
    other.execute(
        "update configurations set name = 'a' where name = 'b' and application_id = %s", [owner]
    )
    with ThreadPoolExecutor(1) as client:
        waits = client.submit(run, repository.rollback(owner, 3, 0, None))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.connection.commit()
        assert [one[0] for one in done(waits.result())] == ["a", "b", "c"]
    assert content(tables, owner) == before


def test_what_another_rollback_brings_back_at_the_same_moment_is_there_once(
    run: Repositories, tables: Tables, owner: str, other: cursor
) -> None:
    before = content(tables, owner)
    tables.rows("delete from configurations where application_id = %s", owner)
    other.execute("select sequence from rollback_content(%s, 3, null, 0)", [owner])
    assert other.fetchall() == [(9,)]
    with ThreadPoolExecutor(1) as client:
        waits = client.submit(run, repository.rollback(owner, 3, 0, None))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.connection.commit()
        told = waits.result()
    assert (told["previous"], done(told)) == (9, [])
    assert content(tables, owner) == before


def test_where_both_wait_for_each_other_the_rollback_is_done_again(
    run: Repositories, dsn: str, tables: Tables, owner: str, other: cursor
) -> None:
    tables.rows("delete from configurations where name = 'a' and application_id = %s", owner)
    later = tables.configuration(owner, "later")
    other.execute("select from applications where id = %s for update", [owner])

    def create() -> None:
        with closing(psycopg2.connect(dsn)) as opened, opened.cursor() as its:
            # The rollback is the one that notices.
            its.execute("set deadlock_timeout = '1min'")
            its.execute(INSERT, (new_ulid(), owner, "a"))
            opened.commit()

    with ThreadPoolExecutor(2) as clients:
        rolled = clients.submit(run, repository.rollback(owner, 3, 2, None))
        eventually(lambda: len(tables.rows(BLOCKED)) == 1)
        created = clients.submit(create)
        eventually(lambda: len(tables.rows(BLOCKED)) == 2)
        other.connection.commit()
        created.result()
        names = {one[0] for one in done(rolled.result())}
    assert names == {"a", "later"}
    assert tables.rows("select from configurations where id = %s", later) == []


def test_where_the_application_is_deleted_meanwhile_it_is_not_found(
    run: Repositories, tables: Tables, owner: str, other: cursor
) -> None:
    tables.rows("delete from configurations where application_id = %s", owner)
    other.execute("delete from applications where id = %s", (owner,))
    with ThreadPoolExecutor(1) as client:
        waits = client.submit(run, repository.rollback(owner, 3, 0, None))
        eventually(lambda: bool(tables.rows(BLOCKED)))
        other.connection.commit()
        with pytest.raises(repository.NotFound):
            waits.result()
