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
