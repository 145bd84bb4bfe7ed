import pytest

from conftest import Repositories, Tables
from features.configurations.delete import repository


@pytest.mark.parametrize("revisions", [None, [1], [7, 1]])
def test_the_configuration_goes_and_leaves_its_history(
    run: Repositories, tables: Tables, revisions: list[int] | None
) -> None:
    owner = tables.application()
    configuration, kept = tables.configuration(owner), tables.configuration(owner, "staging")
    run(repository.delete(configuration, revisions), actor="ann")
    assert tables.rows("select id from configurations") == [(kept,)]
    found = tables.rows(
        "select revision, action, actor from configuration_revisions"
        " where configuration_id = %s order by revision",
        configuration,
    )
    assert found == [(1, "create", "anonymous"), (2, "delete", "ann")]


@pytest.mark.parametrize("revisions", [[], [2, 3]])
def test_a_configuration_at_another_revision_stays(
    run: Repositories, tables: Tables, revisions: list[int]
) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.delete(configuration, revisions))
    assert raised.value.revision == 1
    assert tables.rows("select id from configurations") == [(configuration,)]


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    tables.application("other")
    with pytest.raises(repository.NotFound):
        run(repository.delete("01ARZ3NDEKTSV4RRFFQ69G5FAV", None))
    with pytest.raises(repository.NotFound):
        run(repository.delete(configuration, [7]), confined_to="other")
    run(repository.delete(configuration, None), confined_to="billing")
    assert tables.rows("select * from configurations") == []
