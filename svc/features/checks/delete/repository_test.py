import pytest

from conftest import Repositories, Tables
from features.checks.delete import repository
from wire.types import new_ulid


@pytest.fixture
def check(tables: Tables) -> str:
    """A check of the application `billing`, beside another application."""
    owner, made = tables.application(), new_ulid()
    tables.application("other")
    tables.rows(
        "insert into checks (id, application_id, schema_id, layers) values (%s, %s, %s, '{a,b}')",
        *(made, owner, tables.configuration(owner, "schema")),
    )
    return made


@pytest.mark.parametrize("revisions", [None, [1], [7, 1]])
def test_the_check_goes_and_its_schema_stays(
    run: Repositories, tables: Tables, check: str, revisions: list[int] | None
) -> None:
    assert run(repository.delete(check, revisions), dry_run=True) == 1
    assert tables.rows("select id from checks") == [(check,)]
    assert run(repository.delete(check, revisions)) == 1
    assert tables.rows("select id from checks") == []
    assert tables.rows("select name from configurations") == [("schema",)]


@pytest.mark.parametrize("revisions", [[], [2, 3]])
def test_a_check_at_another_revision_stays(
    run: Repositories, tables: Tables, check: str, revisions: list[int]
) -> None:
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.delete(check, revisions))
    assert raised.value.revision == 1
    assert tables.rows("select id from checks") == [(check,)]


def test_what_is_not_there_or_not_the_callers_is_not_found(run: Repositories, check: str) -> None:
    with pytest.raises(repository.NotFound):
        run(repository.delete(new_ulid(), None))
    with pytest.raises(repository.NotFound):
        run(repository.delete(check, [7]), confined_to="other")
    assert run(repository.delete(check, None), confined_to="billing") == 1
