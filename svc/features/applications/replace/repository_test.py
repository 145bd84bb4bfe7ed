import asyncio

import pytest
from psycopg2.errors import UniqueViolation

from conftest import Listener, violation
from features.applications.replace import repository


def replace(revisions: list[int] | None = None) -> object:
    return asyncio.run(repository.replace("A", "billing", "ours", revisions))


@pytest.mark.parametrize("revisions", [None, [3, 4]])
def test_one_update_changes_the_row_of_that_id_at_those_revisions(
    listener: Listener, revisions: list[int] | None
) -> None:
    listener.rows = [{"id": "A", "name": "billing", "comments": "ours", "revision": 4}]
    assert replace(revisions) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "write"
    assert "(%(confined_to)s::text is null or id = confinement(%(confined_to)s))" in sql
    assert "from applications where id = %(id)s " in sql
    assert " for no key update ), replaced as ( " in sql
    assert "update applications set name = %(name)s, comments = %(comments)s from found" in sql
    assert "where applications.id = %(id)s and " in sql
    assert "(%(revisions)s::bigint[] is null or found.revision = any(%(revisions)s))" in sql
    assert values == {"id": "A", "name": "billing", "comments": "ours", "revisions": revisions}


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        replace()


def test_a_row_at_another_revision_is_not_changed(listener: Listener) -> None:
    listener.rows = [{"found": 7, "id": None}]
    with pytest.raises(repository.PreconditionFailed) as raised:
        replace([3])
    assert raised.value.args == (7,)


def test_the_unique_name_is_taken(listener: Listener) -> None:
    listener.error = violation(UniqueViolation, "applications_name_key")
    with pytest.raises(repository.NameTaken):
        replace()


def test_another_constraint_passes_untouched(listener: Listener) -> None:
    listener.error = violation(UniqueViolation, "applications_pkey")
    with pytest.raises(UniqueViolation) as raised:
        replace()
    assert raised.value is listener.error
