import pytest

from conftest import Repositories, Tables
from features.checks.get import repository
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


def test_a_check_is_found_with_its_revision(run: Repositories, tables: Tables, check: str) -> None:
    found = run(repository.get(check))
    rows = tables.rows(
        "select id, application_id, schema_id, layers, optional, revision from checks"
    )
    assert [tuple(found.values())] == rows


def test_what_is_not_there_or_not_the_callers_is_not_found(run: Repositories, check: str) -> None:
    with pytest.raises(repository.NotFound):
        run(repository.get(new_ulid()))
    with pytest.raises(repository.NotFound):
        run(repository.get(check), confined_to="other")
    assert run(repository.get(check), confined_to="billing")["id"] == check
