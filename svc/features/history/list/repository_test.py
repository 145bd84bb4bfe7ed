import json
from typing import Any

import pytest

from conftest import Repositories, Tables
from features.history.list import repository


@pytest.fixture
def configuration(tables: Tables) -> str:
    """A configuration at revision 4."""
    made = tables.configuration(tables.application())
    for name in ("b", "c", "d"):
        tables.rows("update configurations set name = %s", name)
    return made


def revisions(run: Repositories, configuration: str, before: int | None, limit: int) -> list[int]:
    return [row["revision"] for row in run(repository.list_before(configuration, before, limit))]


def test_a_page_begins_before_a_revision_with_the_newest(
    run: Repositories, configuration: str
) -> None:
    assert revisions(run, configuration, None, 100) == [4, 3, 2, 1]
    assert revisions(run, configuration, None, 2) == [4, 3]
    assert revisions(run, configuration, 3, 100) == [2, 1]
    assert revisions(run, configuration, 99, 1) == [4]
    assert revisions(run, configuration, 1, 100) == []


def test_a_row_has_what_a_list_shows_without_the_document(
    run: Repositories, configuration: str
) -> None:
    row = run(repository.list_before(configuration, None, 1))[0]
    assert row.pop("recorded_at").endswith("Z")
    told = {"action": "update", "actor": "anonymous", "name": "d", "note": None}
    assert row == {"revision": 4, **told}


def test_a_row_says_why_where_that_was_said(
    run: Repositories, tables: Tables, configuration: str
) -> None:
    tables.rows("set local config_service.note = 'why'; delete from configurations")
    rows = run(repository.list_before(configuration, None, 2))
    assert [row["note"] for row in rows] == ["why", None]


def test_the_history_outlives_the_configuration(
    run: Repositories, tables: Tables, configuration: str
) -> None:
    tables.rows("delete from configurations")
    assert revisions(run, configuration, None, 2) == [5, 4]


def test_what_never_was_or_is_not_the_callers_is_not_found(
    run: Repositories, configuration: str
) -> None:
    with pytest.raises(repository.NotFound):
        run(repository.list_before("01ARZ3NDEKTSV4RRFFQ69G5FAV", None, 10))
    with pytest.raises(repository.NotFound):
        run(repository.list_before(configuration, 1, 10), confined_to="other")
    assert len(run(repository.list_before(configuration, None, 10), confined_to="billing")) == 4


def changes(
    run: Repositories, id: str, tokens: list[str], before: int | None = None, limit: int = 100
) -> list[tuple[int, Any]]:
    """The revisions of one page, each with its value, if any."""
    found = run(repository.list_changes_of(id, tokens, before, limit))
    return [(one["revision"], one.get("value", "absent")) for one in json.loads(found["body"])]


def with_documents(tables: Tables, *configs: str) -> str:
    """A configuration with these documents, one after the other."""
    made = tables.configuration(tables.application("many"), config=configs[0])
    for config in configs[1:]:
        # What is equal would take no revision.
        tables.rows(
            "update configurations set config = %s, comments = coalesce(comments, '') || 'x'"
            " where id = %s",
            *(config, made),
        )
    return made


@pytest.mark.parametrize(
    ("tokens", "configs", "told"),
    [
        (["a"], ['{"a": 1}', '{"a": 1, "b": 2}', '{"a": 2}'], [(3, 2), (1, 1)]),
        (["a"], ["{}", '{"a": 1}', "{}", '{"a": 1}'], [(4, 1), (3, "absent"), (2, 1)]),
        (["a"], ['{"a": null}', "{}", '{"a": null}'], [(3, None), (2, "absent"), (1, None)]),
        ([], ['{"a": 1}', '{"a": 1}', "{}"], [(3, {}), (1, {"a": 1})]),
        (["a", "1"], ['{"a": [1, 2]}', '{"a": [0, 2, 3]}', '{"a": [0]}'], [(3, "absent"), (1, 2)]),
        (["a", "b"], ['{"a": {"b": {"c": 1}}}', '{"a": 7}'], [(2, "absent"), (1, {"c": 1})]),
        (["", "~/"], ['{"": {"~/": 1}}', '{"": {"~/": 2}}'], [(2, 2), (1, 1)]),
        (["é", "😀"], ['{"é": {"😀": 1}}'], [(1, 1)]),
        (["0"], ['{"0": 1}', '{"0": {"a": 1}}'], [(2, {"a": 1}), (1, 1)]),
        (["a", "01"], ['{"a": [1, 2]}'], []),
        (["a", "-"], ['{"a": [1, 2]}'], []),
        (["a", "-1"], ['{"a": [1, 2]}'], []),
        (["a", "9" * 20], ['{"a": [1, 2]}'], []),
        (["a", "b"], ['{"a": "text"}', '{"a": null}'], []),
    ],
)
def test_the_revisions_are_those_in_which_the_value_became_another(
    run: Repositories, tables: Tables, tokens: list[str], configs: list[str], told: object
) -> None:
    made = with_documents(tables, *configs)
    assert changes(run, made, tokens) == told


def test_a_value_is_told_to_the_last_digit_and_compared_as_text(
    run: Repositories, tables: Tables
) -> None:
    made = with_documents(tables, '{"a": 1}', '{"a": 1.0}', '{"a": 1.0}')
    found = run(repository.list_changes_of(made, ["a"], None, 1))
    row = json.loads(found["body"])[0]
    assert row.pop("recorded_at").endswith("Z")
    told = {"action": "update", "actor": "anonymous", "name": "production", "note": None}
    assert row == {"revision": 2, **told, "value": 1.0}
    assert found["body"].endswith(',"value":1.0}]')


def test_a_deletion_ends_no_value(run: Repositories, tables: Tables) -> None:
    made = with_documents(tables, '{"a": 1}')
    tables.rows("delete from configurations where id = %s", made)
    assert changes(run, made, ["a"]) == [(1, 1)]
    tables.rows(
        "insert into configurations (id, application_id, name, config)"
        " select %s, id, 'new', '{\"a\": 2}' from applications",
        made,
    )
    assert changes(run, made, ["a"]) == [(3, 2), (1, 1)]


def followed(
    run: Repositories, id: str, tokens: list[str], limit: int
) -> tuple[list[tuple[int, Any]], int]:
    """The changes of all pages, and how many pages those are."""
    all_of_them, pages, before = list[tuple[int, Any]](), 0, None
    while True:
        page = changes(run, id, tokens, before, limit)
        assert len(page) <= limit
        all_of_them, pages = all_of_them + page, pages + 1
        before = run(repository.list_changes_of(id, tokens, before, limit))["before"]
        if before is None:
            return all_of_them, pages


@pytest.mark.parametrize(
    ("most_read", "most_bytes", "limit", "pages"),
    [(1000, 10**6, 100, 1), (1000, 10**6, 2, 3), (3, 10**6, 100, 5), (1000, 1, 100, 10)],
)
def test_the_pages_hold_every_change_once_however_little_each_may_read(
    run: Repositories,
    tables: Tables,
    monkeypatch: pytest.MonkeyPatch,
    most_read: int,
    most_bytes: int,
    limit: int,
    pages: int,
) -> None:
    values = "aabbbbcadda"
    made = with_documents(tables, *(f'{{"v": "{value}"}}' for value in values))
    monkeypatch.setattr(repository, "MOST_READ", most_read)
    monkeypatch.setattr(repository, "MOST_BYTES", most_bytes)
    told = [(11, "a"), (9, "d"), (8, "a"), (7, "c"), (3, "b"), (1, "a")]
    assert followed(run, made, ["v"], limit) == (told, pages)


def test_documents_count_as_they_are_printed_however_well_they_are_compressed(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = with_documents(tables, *(f'{{"v": "{value * 50_000}"}}' for value in "abcdef"))
    stored = "select sum(pg_column_size(config)) from configuration_revisions"
    assert tables.rows(stored)[0][0] < 50_000
    monkeypatch.setattr(repository, "MOST_BYTES", 125_000)
    found = run(repository.list_changes_of(made, ["v"], None, 100))
    # Of the three that were read, the last was not compared.
    assert [row["revision"] for row in json.loads(found["body"])] == [6, 5]
    assert found["before"] == 5


def test_what_is_trimmed_was_not_compared(run: Repositories, tables: Tables) -> None:
    tables.rows("set config_service.history_keep_revisions = 2")
    made = with_documents(tables, '{"a": 1}', '{"a": 2}', '{"a": 2}', '{"a": 3}')
    tables.rows("reset config_service.history_keep_revisions")
    assert followed(run, made, ["a"], 100) == ([(4, 3)], 1)
    assert followed(run, made, ["b"], 100) == ([], 1)


def test_the_changes_of_what_never_was_or_is_not_the_callers_are_not_found(
    run: Repositories, configuration: str
) -> None:
    with pytest.raises(repository.NotFound):
        run(repository.list_changes_of("01ARZ3NDEKTSV4RRFFQ69G5FAV", ["a"], None, 10))
    with pytest.raises(repository.NotFound):
        run(repository.list_changes_of(configuration, [], None, 10), confined_to="other")
    told = run(repository.list_changes_of(configuration, [], None, 10), confined_to="billing")
    assert len(json.loads(told["body"])) == 1
