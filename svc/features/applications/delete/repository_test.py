import pytest

from conftest import Repositories, Tables
from features.applications.delete import repository


@pytest.mark.parametrize("revisions", [None, [1], [7, 1]])
def test_the_application_goes_with_its_configurations_and_no_others(
    run: Repositories, tables: Tables, revisions: list[int] | None
) -> None:
    application, other = tables.application(), tables.application("other")
    kept = tables.configuration(other)
    assert run(repository.delete(application, revisions)) == 1
    assert tables.rows("select id from applications") == [(other,)]
    assert tables.rows("select id from configurations") == [(kept,)]


def test_its_configurations_go_with_it_and_leave_their_history(
    run: Repositories, tables: Tables
) -> None:
    application = tables.application()
    tables.configuration(application)
    run(repository.delete(application, None), actor="ann", note="moved")
    assert tables.rows("select * from configurations") == []
    found = tables.rows("select action, actor, note from configuration_revisions order by sequence")
    assert found == [("create", "anonymous", None), ("delete", "ann", "moved")]


@pytest.mark.parametrize("revisions", [[], [1, 3]])
def test_an_application_at_another_revision_stays(
    run: Repositories, tables: Tables, revisions: list[int]
) -> None:
    application = tables.application()
    tables.configuration(
        application
    )  # its list of configurations changes, and so does its revision
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.delete(application, revisions))
    assert raised.value.revision == 2
    assert tables.rows("select id from applications") == [(application,)]


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    application = tables.application()
    tables.application("other")
    with pytest.raises(repository.NotFound):
        run(repository.delete("01ARZ3NDEKTSV4RRFFQ69G5FAV", None))
    with pytest.raises(repository.NotFound):
        run(repository.delete(application, [7]), confined_to="other")
    run(repository.delete(application, None), confined_to="billing")
    assert tables.rows("select name from applications") == [("other",)]


def test_a_dry_run_tells_what_would_go_and_leaves_all_of_it(
    run: Repositories, tables: Tables
) -> None:
    application = tables.application()
    tables.configuration(application)
    assert run(repository.delete(application, [2]), dry_run=True, note="moved") == 2
    assert tables.rows("select revision from applications") == [(2,)]
    assert tables.rows("select revision from configurations") == [(1,)]
    assert tables.rows("select action from configuration_revisions") == [("create",)]
