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


def test_a_page_begins_behind_a_sequence_and_has_the_changes_in_their_order(
    run: Repositories, application: str
) -> None:
    changes = run(repository.list_after(application, 0, 100))
    assert [change["name"] for change in changes] == ["c0", "c1", "c2", "c3"]
    sequences = [change["sequence"] for change in changes]
    assert sequences == sorted(sequences)
    assert run(repository.list_after(application, sequences[0], 2)) == changes[1:3]
    assert run(repository.list_after(application, sequences[3], 100)) == []


def test_a_change_says_what_was_done_to_which_configuration_and_by_whom(
    run: Repositories, tables: Tables
) -> None:
    application = tables.application()
    configuration = tables.configuration(application)
    [change] = run(repository.list_after(application, 0, 1))
    assert change.pop("recorded_at").endswith("Z")
    assert isinstance(change.pop("sequence"), int)
    assert change == {
        "configuration_id": configuration,
        "name": "production",
        "revision": 1,
        "action": "create",
        "actor": "anonymous",
    }


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables, application: str
) -> None:
    with pytest.raises(repository.NotFound):
        run(repository.list_after("01ARZ3NDEKTSV4RRFFQ69G5FAV", 0, 10))
    with pytest.raises(repository.NotFound):
        run(repository.list_after(application, 0, 10), confined_to="other")
    assert len(run(repository.list_after(application, 0, 10), confined_to="billing")) == 4
    tables.rows("delete from applications")
    with pytest.raises(repository.NotFound):
        run(repository.list_after(application, 0, 10))
