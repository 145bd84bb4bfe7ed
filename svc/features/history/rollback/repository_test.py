import asyncio

import pytest
from psycopg2.errors import CheckViolation, ForeignKeyViolation, UniqueViolation

import database
from conftest import Listener, violation
from features.history.rollback import repository

BACK = {"wanted": True, "found": None, "revision": 8, "body": "{}"}


def rollback(revisions: list[int] | None = None, *, must_exist: bool = False) -> object:
    return asyncio.run(repository.rollback("C", 3, revisions, must_exist=must_exist))


@pytest.mark.parametrize(("revisions", "must_exist"), [(None, False), (None, True), ([7], True)])
def test_one_statement_updates_the_row_or_brings_it_back(
    listener: Listener, revisions: list[int] | None, must_exist: bool
) -> None:
    listener.rows = [BACK]
    assert rollback(revisions, must_exist=must_exist) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "write"
    assert "set_config('config_service.action', 'rollback', true)" in sql
    assert "where configuration_id = %(id)s and revision = %(revision)s" in sql
    assert "(%(revisions)s::bigint[] is null or found.revision = any(%(revisions)s))" in sql
    assert "where not %(must_exist)s and not exists (select from found)" in sql
    assert values == {"id": "C", "revision": 3, "revisions": revisions, "must_exist": must_exist}


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        rollback()


@pytest.mark.parametrize("found", [None, 7])
def test_a_revision_that_is_not_in_the_history_is_told(
    listener: Listener, found: int | None
) -> None:
    listener.rows = [{"wanted": False, "found": found, "revision": None, "body": None}]
    with pytest.raises(repository.NoSuchRevision):
        rollback()


@pytest.mark.parametrize("found", [None, 7])
def test_a_row_that_is_deleted_or_at_another_revision_is_not_changed(
    listener: Listener, found: int | None
) -> None:
    listener.rows = [{"wanted": True, "found": found, "revision": None, "body": None}]
    with pytest.raises(repository.PreconditionFailed) as raised:
        rollback([3], must_exist=True)
    assert raised.value.args == (found,)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (
            violation(ForeignKeyViolation, "configurations_application_id_fkey"),
            repository.ApplicationGone,
        ),
        (violation(CheckViolation, "configurations_config_fits"), repository.TooLarge),
        (
            violation(UniqueViolation, "configurations_application_id_name_key"),
            repository.NameTaken,
        ),
    ],
)
def test_a_violated_constraint_has_its_meaning(
    listener: Listener, error: Exception, meaning: type[Exception]
) -> None:
    listener.error = error
    with pytest.raises(meaning):
        rollback()


def test_where_another_has_just_brought_it_back_it_is_updated_instead(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.rows = [{**BACK, "found": 8, "revision": 9}]
    listener.error = violation(UniqueViolation, "configurations_pkey")
    write = listener.answering("write")

    async def write_once_in_vain(sql: str, values: database.Values) -> list[database.Row]:
        if listener.statements:
            listener.error = None
        rows: list[database.Row] = await write(sql, values)
        return rows

    monkeypatch.setattr(database, "write", write_once_in_vain)
    assert rollback([7], must_exist=True) is listener.rows[0]
    first, second = listener.statements
    assert first == second


@pytest.mark.parametrize(
    "error",
    [
        violation(UniqueViolation, "configurations_other_key"),
        violation(ForeignKeyViolation, "configurations_other_fkey"),
        violation(CheckViolation, "configurations_config_object"),
    ],
)
def test_another_constraint_passes_untouched(listener: Listener, error: Exception) -> None:
    listener.error = error
    with pytest.raises(type(error)) as raised:
        rollback()
    assert raised.value is error
