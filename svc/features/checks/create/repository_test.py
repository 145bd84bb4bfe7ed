import pytest
from psycopg2.errors import CheckViolation

import database
from conftest import Repositories, Tables
from features.checks.create import repository
from wire.types import new_ulid

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
FOUND = "select id, application_id, schema_id, layers, optional, revision from checks"


def test_a_new_check_is_a_row_with_an_id_of_its_own(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    schema = tables.configuration(owner, "schema")
    made = run(repository.create(owner, schema, ["b", "a"], ["a"]))
    assert tables.rows(FOUND) == [(made["id"], owner, schema, ["b", "a"], ["a"], 1)]
    assert run(repository.create(owner, schema, ["a"], []))["id"] != made["id"]


def test_an_application_that_is_not_there_or_not_the_callers_is_none(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    schema = tables.configuration(owner, "schema")
    tables.application("other")
    with pytest.raises(repository.NoSuchApplication):
        run(repository.create(NOWHERE, schema, ["a"], []))
    with pytest.raises(repository.NoSuchApplication):
        run(repository.create(owner, schema, ["a"], []), confined_to="other")
    run(repository.create(owner, schema, ["a"], []), confined_to="billing")


def test_a_schema_is_a_configuration_of_the_same_application(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    other = tables.configuration(tables.application("other"), "schema")
    for schema in (NOWHERE, other):
        with pytest.raises(repository.NoSuchSchema):
            run(repository.create(owner, schema, ["a"], []))
    assert tables.rows(FOUND) == []


def test_an_application_has_at_most_16(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    schema = tables.configuration(owner, "schema")
    for _ in range(16):
        run(repository.create(owner, schema, ["a"], []))
    with pytest.raises(repository.TooMany):
        run(repository.create(owner, schema, ["a"], []))


def test_documents_that_fail_it_refuse_it_in_a_dry_run_too(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    schema = tables.configuration(owner, "schema", '{"required": ["a"]}')
    tables.configuration(owner, "layer")
    for dry_run in (True, False):
        with pytest.raises(database.CheckFailed) as raised:
            run(repository.create(owner, schema, ["layer"], []), dry_run=dry_run)
        assert [one["pointer"] for one in raised.value.faults] == [""]
    assert run(repository.create(owner, schema, ["absent"], []), dry_run=True)
    assert tables.rows(FOUND) == []


def test_another_constraint_passes_untouched(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    schema = tables.configuration(owner, "schema")
    with pytest.raises(CheckViolation) as raised:
        run(repository.create(owner, schema, ["a"], [new_ulid()]))
    assert raised.value.diag.constraint_name == "checks_optional_layers"
