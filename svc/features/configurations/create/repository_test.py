import asyncio
import re

import pytest
from psycopg2.errors import CheckViolation, ForeignKeyViolation, UniqueViolation

from conftest import Listener, violation
from features.configurations.create import repository


def create() -> object:
    return asyncio.run(repository.create("A", "production", "ours", '{"rate": 1.10}'))


def test_one_insert_makes_the_row_with_a_fresh_id(listener: Listener) -> None:
    listener.rows = [{"id": "…", "body": "{}"}]
    assert create() is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "write"
    assert (
        "where %(confined_to)s::text is null or %(application_id)s = confinement(%(confined_to)s)"
        in sql
    )
    assert (
        "insert into configurations (id, application_id, name, comments, config) "
        "select %(id)s, %(application_id)s, %(name)s, %(comments)s, %(config)s::jsonb " in sql
    )
    assert sql.endswith("select id, row_to_json(created)::text as body from created")
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", values["id"])
    assert {name: value for name, value in values.items() if name != "id"} == {
        "application_id": "A",
        "name": "production",
        "comments": "ours",
        "config": '{"rate": 1.10}',
    }


def test_every_row_has_an_id_of_its_own(listener: Listener) -> None:
    listener.rows = [{}]
    create()
    create()
    assert len({values["id"] for _, _, values in listener.statements}) == 2


def test_the_foreign_key_tells_that_there_is_no_such_application(listener: Listener) -> None:
    listener.error = violation(ForeignKeyViolation, "configurations_application_id_fkey")
    with pytest.raises(repository.NoSuchApplication):
        create()


def test_an_application_that_the_request_is_not_confined_to_does_not_exist(
    listener: Listener,
) -> None:
    listener.rows = []
    with pytest.raises(repository.NoSuchApplication):
        create()


def test_a_document_that_does_not_fit_is_too_large(listener: Listener) -> None:
    listener.error = violation(CheckViolation, "configurations_config_fits")
    with pytest.raises(repository.TooLarge):
        create()


def test_the_name_that_is_unique_in_the_application_is_taken(listener: Listener) -> None:
    listener.error = violation(UniqueViolation, "configurations_application_id_name_key")
    with pytest.raises(repository.NameTaken):
        create()


@pytest.mark.parametrize(
    "error",
    [
        violation(UniqueViolation, "configurations_pkey"),
        violation(ForeignKeyViolation, "configurations_other_fkey"),
        violation(CheckViolation, "configurations_config_object"),
    ],
)
def test_another_constraint_passes_untouched(listener: Listener, error: Exception) -> None:
    listener.error = error
    with pytest.raises(type(error)) as raised:
        create()
    assert raised.value is error
