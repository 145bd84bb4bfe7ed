import pytest

import database
from conftest import Repositories, Tables
from features.checks.replace import repository
from wire.types import new_ulid

FOUND = "select layers, optional, revision from checks"


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


def schema_of(tables: Tables) -> str:
    [(schema,)] = tables.rows("select schema_id from checks")
    return str(schema)


@pytest.mark.parametrize("revisions", [None, [1], [7, 1]])
def test_the_check_is_replaced_and_counts_on(
    run: Repositories, tables: Tables, check: str, revisions: list[int] | None
) -> None:
    schema = schema_of(tables)
    made = run(repository.replace(check, None, schema, ["c"], ["c"], revisions))
    assert (made["found"], made["revision"], made["layers"]) == (1, 2, ["c"])
    assert tables.rows(FOUND) == [(["c"], ["c"], 2)]


def test_what_changes_nothing_keeps_the_revision(
    run: Repositories, tables: Tables, check: str
) -> None:
    made = run(repository.replace(check, None, schema_of(tables), ["a", "b"], [], None))
    assert (made["found"], made["revision"]) == (1, 1)


def test_a_check_at_another_revision_or_of_another_application_stays(
    run: Repositories, tables: Tables, check: str
) -> None:
    schema = schema_of(tables)
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.replace(check, None, schema, ["c"], [], [2]))
    assert raised.value.revision == 1
    with pytest.raises(repository.OtherApplication):
        run(repository.replace(check, new_ulid(), schema, ["c"], [], None))
    assert tables.rows(FOUND) == [(["a", "b"], [], 1)]


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables, check: str
) -> None:
    schema = schema_of(tables)
    with pytest.raises(repository.NotFound):
        run(repository.replace(new_ulid(), None, schema, ["c"], [], None))
    with pytest.raises(repository.NotFound):
        run(repository.replace(check, None, schema, ["c"], [], [7]), confined_to="other")
    assert run(repository.replace(check, None, schema, ["c"], [], None), confined_to="billing")


def test_a_schema_is_a_configuration_of_the_same_application(
    run: Repositories, tables: Tables, check: str
) -> None:
    other = tables.configuration(tables.application("third"), "schema")
    for schema in (new_ulid(), other):
        with pytest.raises(repository.NoSuchSchema):
            run(repository.replace(check, None, schema, ["a"], [], None))


def test_documents_that_fail_it_refuse_it_in_a_dry_run_too(
    run: Repositories, tables: Tables, check: str
) -> None:
    schema = schema_of(tables)
    tables.rows('update configurations set config = \'{"required": ["a"]}\'')
    for dry_run in (True, False):
        with pytest.raises(database.CheckFailed):
            run(
                repository.replace(check, None, schema, ["absent"], ["absent"], None),
                dry_run=dry_run,
            )
    assert tables.rows(FOUND) == [(["a", "b"], [], 1)]
