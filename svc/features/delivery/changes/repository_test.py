import json
from typing import Any

import pytest

from conftest import Repositories, Tables
from features.delivery.changes import repository


@pytest.fixture
def application(tables: Tables) -> str:
    """An application with four changes, among those of another."""
    made, other = tables.application(), tables.application("other")
    for n in range(4):
        tables.configuration(made, f"c{n}")
        tables.configuration(other, f"c{n}")
    return made


def changes(run: Repositories, *asked: Any, **caller: Any) -> list[dict[str, Any]]:
    page = run(repository.list_after(*asked), **caller)
    listed: list[dict[str, Any]] = json.loads(page["body"])["changes"]
    assert json.loads(page["body"])["next"] == page["next"]
    assert page["next"] == (listed[-1]["sequence"] if listed else asked[1])
    return listed


def test_a_page_begins_behind_a_sequence_and_has_the_changes_in_their_order(
    run: Repositories, application: str
) -> None:
    listed = changes(run, application, 0, 100)
    assert [change["name"] for change in listed] == ["c0", "c1", "c2", "c3"]
    sequences = [change["sequence"] for change in listed]
    assert sequences == sorted(sequences)
    assert changes(run, application, sequences[0], 2) == listed[1:3]
    assert changes(run, application, sequences[3], 100) == []


def test_a_page_that_has_grown_or_was_trimmed_is_the_new_one(
    run: Repositories, tables: Tables, application: str
) -> None:
    first, *_ = changes(run, application, 0, 100)
    tables.configuration(application, "c4")
    assert [change["name"] for change in changes(run, application, 0, 100)][3:] == ["c3", "c4"]
    tables.rows(
        "set config_service.history_keep_revisions = 1;"
        " update configurations set comments = 'new' where name = 'c1' and application_id = %s;"
        " reset config_service.history_keep_revisions",
        application,
    )
    listed = changes(run, application, 0, 100)
    assert [change["name"] for change in listed] == ["c0", "c2", "c3", "c4", "c1"]
    assert changes(run, application, 0, 1) == [first]


def test_a_sequence_that_is_given_out_again_after_a_restore_is_the_new_change(
    run: Repositories, tables: Tables, application: str
) -> None:
    last = changes(run, application, 0, 100)[-1]
    tables.rows(
        "alter table configuration_revisions disable trigger configuration_revisions_keep_rows;"
        " update configuration_revisions set recorded_at = now(), name = 'new' where sequence = %s;"
        " alter table configuration_revisions enable trigger configuration_revisions_keep_rows",
        last["sequence"],
    )
    assert changes(run, application, 0, 100)[-1]["name"] == "new"


def test_a_change_says_what_was_done_to_which_configuration_and_by_whom(
    run: Repositories, tables: Tables
) -> None:
    application = tables.application()
    configuration = tables.configuration(application)
    [change] = changes(run, application, 0, 1)
    assert change.pop("recorded_at").endswith("Z")
    assert change == {
        "sequence": 1,
        "configuration_id": configuration,
        "name": "production",
        "revision": 1,
        "action": "create",
        "actor": "anonymous",
        "note": None,
        "transaction": 1,
    }


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables, application: str
) -> None:
    with pytest.raises(repository.NotFound):
        run(repository.list_after("01ARZ3NDEKTSV4RRFFQ69G5FAV", 0, 10))
    with pytest.raises(repository.NotFound):
        run(repository.list_after(application, 0, 10), confined_to="other")
    assert len(changes(run, application, 0, 10, confined_to="billing")) == 4
    tables.rows("delete from applications")
    with pytest.raises(repository.NotFound):
        run(repository.list_after(application, 0, 10))


def test_a_change_says_why_and_what_it_was_committed_with(
    run: Repositories, tables: Tables, application: str
) -> None:
    tables.rows(
        "set local config_service.note = 'why';"
        "update configurations set comments = 'new' where name < 'c2';"
        "delete from configurations where name = 'c3'"
    )
    told = [
        (one["sequence"], one["transaction"], one["note"])
        for one in changes(run, application, 3, 100)
    ]
    assert told == [(4, 4, None), (5, 7, "why"), (6, 7, "why"), (7, 7, "why")]


@pytest.mark.parametrize(
    ("after", "limit", "sequences"),
    [
        (0, 4, [1, 2, 3, 4]),
        (0, 5, [1, 2, 3, 4, 5, 6, 7]),
        (3, 3, [4, 5, 6, 7]),
        (3, 4, [4, 5, 6, 7]),
        (5, 1, [6, 7]),
        (3, 5, [4, 5, 6, 7, 8]),
        (6, 1, [7]),
        (7, 1, [8]),
        (8, 1, []),
    ],
)
def test_no_page_ends_within_a_transaction(
    run: Repositories,
    tables: Tables,
    application: str,
    after: int,
    limit: int,
    sequences: list[int],
) -> None:
    tables.rows("update configurations set comments = 'new' where name < 'c3'")
    tables.rows("delete from configurations where name = 'c0'")
    listed = changes(run, application, after, limit)
    assert [one["sequence"] for one in listed] == sequences
    # Also where a page begins within one.
    assert {one["transaction"] for one in listed if one["sequence"] in (5, 6, 7)} <= {7}


def test_what_is_older_than_transactions_counts_as_one_each(
    run: Repositories, tables: Tables, application: str
) -> None:
    tables.rows(
        "alter table configuration_revisions disable trigger configuration_revisions_keep_rows;"
        "update configuration_revisions set transaction_id = null where sequence < 4;"
        "alter table configuration_revisions enable trigger configuration_revisions_keep_rows"
    )
    listed = changes(run, application, 0, 2)
    assert [(one["sequence"], one["transaction"]) for one in listed] == [(1, 1), (2, 2)]
    listed = changes(run, application, 2, 1)
    assert [(one["sequence"], one["transaction"]) for one in listed] == [(3, 3)]
