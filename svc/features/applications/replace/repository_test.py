import pytest
from psycopg2.errors import CheckViolation

from conftest import Repositories, Tables
from features.applications.replace import repository


@pytest.mark.parametrize("revisions", [None, [1], [7, 1]])
def test_the_row_is_what_was_given_at_the_next_revision(
    run: Repositories, tables: Tables, revisions: list[int] | None
) -> None:
    application = tables.application()
    tables.application("other")
    replaced = run(repository.replace(application, "invoices", "ours", revisions))
    assert {name: replaced[name] for name in ("id", "name", "comments", "revision")} == {
        "id": application,
        "name": "invoices",
        "comments": "ours",
        "revision": 2,
    }
    found = tables.rows("select name, comments, revision from applications order by name")
    assert found == [("invoices", "ours", 2), ("other", None, 1)]


def test_a_change_that_changes_nothing_keeps_the_revision(
    run: Repositories, tables: Tables
) -> None:
    assert run(repository.replace(tables.application(), "billing", None, None))["revision"] == 1


@pytest.mark.parametrize("revisions", [[], [2, 3]])
def test_an_application_at_another_revision_stays_as_it_is(
    run: Repositories, tables: Tables, revisions: list[int]
) -> None:
    application = tables.application()
    tables.application("taken")
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.replace(application, "taken", None, revisions))
    assert raised.value.revision == 1
    assert tables.rows("select revision from applications where name = 'billing'") == [(1,)]


def test_the_name_of_another_is_taken(run: Repositories, tables: Tables) -> None:
    application = tables.application()
    tables.application("other")
    with pytest.raises(repository.NameTaken):
        run(repository.replace(application, "other", None, [1]))


def test_another_constraint_passes_untouched(run: Repositories, tables: Tables) -> None:
    with pytest.raises(CheckViolation):
        run(repository.replace(tables.application(), " billing", None, None))


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    application = tables.application()
    tables.application("other")
    with pytest.raises(repository.NotFound):
        run(repository.replace("01ARZ3NDEKTSV4RRFFQ69G5FAV", "new", None, None))
    with pytest.raises(repository.NotFound):
        run(repository.replace(application, "other", None, [7]), confined_to="other")


@pytest.mark.parametrize("by_name", [True, False])
def test_a_confined_caller_may_rename_its_own_application(
    run: Repositories, tables: Tables, by_name: bool
) -> None:
    application = tables.application()
    confined_to = "billing" if by_name else application
    assert (
        run(repository.replace(application, "new", None, None), confined_to=confined_to)["name"]
        == "new"
    )


def test_a_dry_run_tells_what_would_be_and_changes_nothing(
    run: Repositories, tables: Tables
) -> None:
    application = tables.application()
    tried = run(repository.replace(application, "new", "ours", [1]), dry_run=True)
    assert (tried["name"], tried["found"], tried["revision"]) == ("new", 1, 2)
    tables.application("taken")
    with pytest.raises(repository.NameTaken):
        run(repository.replace(application, "taken", None, None), dry_run=True)
    found = tables.rows("select name, comments, revision from applications order by name")
    assert found == [("billing", None, 1), ("taken", None, 1)]
