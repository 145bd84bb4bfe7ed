import asyncio

import pytest

from conftest import Listener
from features.configurations.delete import repository


@pytest.mark.parametrize("revisions", [None, [3, 4]])
def test_one_delete_takes_the_row_of_that_id_at_those_revisions(
    listener: Listener, revisions: list[int] | None
) -> None:
    listener.rows = [{"revision": 3, "deleted": True}]
    asyncio.run(repository.delete("A", revisions))
    [(kind, sql, values)] = listener.statements
    assert kind == "write"
    assert "(%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))" in sql
    assert "select revision from configurations where id = %(id)s " in sql
    assert " for update ), deleted as ( " in sql
    assert "delete from configurations using found where configurations.id = %(id)s and " in sql
    assert "(%(revisions)s::bigint[] is null or found.revision = any(%(revisions)s))" in sql
    assert values == {"id": "A", "revisions": revisions}


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.delete("A", None))


def test_a_row_at_another_revision_stays(listener: Listener) -> None:
    listener.rows = [{"revision": 7, "deleted": False}]
    with pytest.raises(repository.PreconditionFailed) as raised:
        asyncio.run(repository.delete("A", [3]))
    assert raised.value.args == (7,)
