import asyncio

import pytest
from psycopg2.errors import CheckViolation, UniqueViolation

from conftest import Listener, violation
from features.configurations.replace import repository


def replace(application_id: str | None = None, revisions: list[int] | None = None) -> object:
    return asyncio.run(
        repository.replace("C", application_id, "production", "ours", "{}", revisions)
    )


@pytest.mark.parametrize(("application_id", "revisions"), [(None, None), ("A", [3, 4])])
def test_one_update_changes_the_rows_of_those_ids_at_those_revisions(
    listener: Listener, application_id: str | None, revisions: list[int] | None
) -> None:
    listener.rows = [{"application_id": "A", "found": 3, "revision": 4, "body": "{}"}]
    assert replace(application_id, revisions) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "write_batched"
    assert "as asked (id, owner, new_name, new_comments, new_config, revisions)" in sql
    assert "%(confined_to)s::text is null or application_id = confinement(%(confined_to)s)" in sql
    assert " order by id for no key update of configurations ), replaced as ( " in sql
    assert "set name = new_name, comments = new_comments, config = new_config::jsonb" in sql
    assert "where configurations.id = found.id and " in sql
    assert "found.application_id = coalesce(owner, found.application_id)" in sql
    assert "(revisions is null or revisions::jsonb @> to_jsonb(found.revision))" in sql
    assert values == {
        "id": "C",
        "application_id": application_id,
        "name": "production",
        "comments": "ours",
        "config": "{}",
        "revisions": revisions and "[3, 4]",
    }


def test_no_revision_at_all_is_not_any_revision(listener: Listener) -> None:
    listener.rows = [{"application_id": "A", "found": 3, "revision": 4, "body": "{}"}]
    replace(None, [])
    assert listener.statements[0][2]["revisions"] == "[]"


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        replace()


def test_a_row_of_another_application_is_not_changed(listener: Listener) -> None:
    listener.rows = [{"application_id": "A", "found": 7, "body": None}]
    with pytest.raises(repository.OtherApplication):
        replace("B")


def test_a_row_at_another_revision_is_not_changed(listener: Listener) -> None:
    listener.rows = [{"application_id": "A", "found": 7, "body": None}]
    with pytest.raises(repository.PreconditionFailed) as raised:
        replace("A", [3])
    assert raised.value.args == (7,)


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
