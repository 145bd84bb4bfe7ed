import asyncio

import pytest
from psycopg2.errors import CheckViolation, UniqueViolation

from conftest import Listener, violation
from features.configurations.replace import repository


def replace(application_id: str | None = None) -> str:
    return asyncio.run(repository.replace("C", application_id, "production", "ours", "{}"))


@pytest.mark.parametrize("application_id", [None, "A"])
def test_one_update_changes_the_row_of_that_id(
    listener: Listener, application_id: str | None
) -> None:
    listener.rows = [{"application_id": "A", "body": '{"rate":1.10}'}]
    assert replace(application_id) == '{"rate":1.10}'
    [(kind, sql, values)] = listener.statements
    assert kind == "write"
    assert (
        "set name = %(name)s, comments = %(comments)s, config = %(config)s where id = %(id)s" in sql
    )
    assert "and application_id = coalesce(%(application_id)s, application_id)" in sql
    assert values == {
        "id": "C",
        "application_id": application_id,
        "name": "production",
        "comments": "ours",
        "config": "{}",
    }


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        replace()


def test_a_row_of_another_application_is_not_changed(listener: Listener) -> None:
    listener.rows = [{"application_id": "A", "body": None}]
    with pytest.raises(repository.OtherApplication):
        replace("B")


def test_a_row_deleted_meanwhile_is_not_found(listener: Listener) -> None:
    listener.rows = [{"application_id": "A", "body": None}]
    with pytest.raises(repository.NotFound):
        replace("A")


def test_a_document_that_does_not_fit_is_too_large(listener: Listener) -> None:
    listener.error = violation(CheckViolation, "configurations_config_fits")
    with pytest.raises(repository.TooLarge):
        replace()


def test_the_name_that_is_unique_in_the_application_is_taken(listener: Listener) -> None:
    listener.error = violation(UniqueViolation, "configurations_application_id_name_key")
    with pytest.raises(repository.NameTaken):
        replace()


@pytest.mark.parametrize(
    "error",
    [
        violation(UniqueViolation, "configurations_pkey"),
        violation(CheckViolation, "configurations_config_object"),
    ],
)
def test_another_constraint_passes_untouched(listener: Listener, error: Exception) -> None:
    listener.error = error
    with pytest.raises(type(error)) as raised:
        replace()
    assert raised.value is error
