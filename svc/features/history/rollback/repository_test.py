import asyncio
import json
import time
from contextlib import closing

import psycopg2
import pytest
from psycopg2.errors import CheckViolation

import database
from conftest import Repositories, Tables
from features.history.rollback import repository

LONG = f'{{"a": [{", ".join(["1e308"] * 4000)}]}}'  # printed it has 1.2 MB


async def rollback(
    configuration: str,
    revision: int = 1,
    revisions: list[int] | None = None,
    *,
    may_be_deleted: bool = True,
) -> database.Row:
    return await repository.rollback(
        configuration, revision, revisions, may_be_deleted=may_be_deleted
    )


@pytest.fixture
def owner(tables: Tables) -> str:
    """An application."""
    return tables.application()


@pytest.fixture
def configuration(tables: Tables, owner: str) -> str:
    """A configuration that was `first` and is `second`, at revision 2."""
    made = tables.configuration(owner, "first", '{"rate": 1.10}')
    tables.rows("update configurations set name = 'second', comments = 'new', config = '{}'")
    return made


@pytest.fixture
def deleted(tables: Tables, configuration: str) -> str:
    """The same, deleted."""
    tables.rows("delete from configurations")
    return configuration


@pytest.mark.parametrize("may_be_deleted", [True, False])
@pytest.mark.parametrize("revisions", [None, [2], [7, 2]])
def test_the_next_revision_is_what_an_earlier_one_was(
    run: Repositories,
    tables: Tables,
    owner: str,
    configuration: str,
    revisions: list[int] | None,
    may_be_deleted: bool,
) -> None:
    now = run(rollback(configuration, 1, revisions, may_be_deleted=may_be_deleted), actor="ann")
    assert now["revision"] == 3
    assert now["body"] == (
        f'{{"id":"{configuration}","application_id":"{owner}","name":"first",'
        '"comments":null,"config":{"rate": 1.10}}'
    )
    found = tables.rows("select name, comments, config::text from configurations")
    assert found == [("first", None, '{"rate": 1.10}')]
    found = tables.rows("select action, actor from configuration_revisions where revision = 3")
    assert found == [("rollback", "ann")]


def test_a_change_that_changes_nothing_keeps_the_revision(
    run: Repositories, configuration: str
) -> None:
    assert run(rollback(configuration, 2))["revision"] == 2


@pytest.mark.parametrize("revisions", [None, []])
def test_a_deleted_configuration_comes_back_if_it_may_be_deleted(
    run: Repositories, tables: Tables, deleted: str, revisions: list[int] | None
) -> None:
    now = run(rollback(deleted, 2, revisions))
    assert (now["revision"], json.loads(now["body"])["name"]) == (4, "second")
    assert tables.rows("select id, name from configurations") == [(deleted, "second")]


@pytest.mark.parametrize("revisions", [None, [3]])
def test_a_deleted_configuration_that_may_not_be_deleted_stays_so(
    run: Repositories, tables: Tables, deleted: str, revisions: list[int] | None
) -> None:
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(rollback(deleted, 1, revisions, may_be_deleted=False))
    assert raised.value.revision is None
    assert tables.rows("select * from configurations") == []


@pytest.mark.parametrize("may_be_deleted", [True, False])
@pytest.mark.parametrize("revisions", [[], [1, 3]])
def test_a_configuration_at_another_revision_stays_as_it_is(
    run: Repositories,
    tables: Tables,
    owner: str,
    configuration: str,
    revisions: list[int],
    may_be_deleted: bool,
) -> None:
    tables.configuration(owner, "first")
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(rollback(configuration, 1, revisions, may_be_deleted=may_be_deleted))
    assert raised.value.revision == 2


def test_a_revision_that_it_never_had_is_told(
    run: Repositories, tables: Tables, configuration: str
) -> None:
    for _ in range(2):
        with pytest.raises(repository.NoSuchRevision):
            run(rollback(configuration, 9))
        tables.rows("delete from configurations")


def test_what_never_was_or_is_not_the_callers_is_not_found(
    run: Repositories, tables: Tables, configuration: str
) -> None:
    tables.application("other")
    with pytest.raises(repository.NotFound):
        run(rollback("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
    with pytest.raises(repository.NotFound):
        run(rollback(configuration, 9, [7]), confined_to="other")
    tables.rows("delete from configurations")
    with pytest.raises(repository.NotFound):
        run(rollback(configuration), confined_to="other")
    assert run(rollback(configuration), confined_to="billing")["revision"] == 4


def test_without_its_application_it_does_not_come_back(
    run: Repositories, tables: Tables, deleted: str
) -> None:
    tables.rows("delete from applications")
    with pytest.raises(repository.ApplicationGone):
        run(rollback(deleted))


def test_a_document_that_is_long_to_print_is_too_large(
    run: Repositories, tables: Tables, owner: str
) -> None:
    configuration = tables.configuration(
        owner, config=LONG
    )  # a session that is not the service's may
    tables.rows("update configurations set config = '{}'")
    with pytest.raises(repository.TooLarge):
        run(rollback(configuration))


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_name_that_another_has_taken_since_is_taken(
    run: Repositories, tables: Tables, owner: str, configuration: str, is_deleted: bool
) -> None:
    if is_deleted:
        tables.rows("delete from configurations")
    tables.configuration(owner, "first")
    with pytest.raises(repository.NameTaken):
        run(rollback(configuration))


def test_another_constraint_passes_untouched(
    run: Repositories, tables: Tables, configuration: str
) -> None:
    tables.rows(
        """
        insert into configuration_revisions
            (configuration_id, revision, sequence, application_id, name, config, action)
        select configuration_id, 9, 9, application_id, ' ', config, action
        from configuration_revisions where revision = 1
        """
    )
    with pytest.raises(CheckViolation):
        run(rollback(configuration, 9))


def test_where_another_is_just_bringing_it_back_it_is_updated_instead(
    run: Repositories, tables: Tables, dsn: str, deleted: str
) -> None:
    with closing(psycopg2.connect(dsn)) as other, other.cursor() as cursor:
        cursor.execute(
            """
            insert into configurations (id, application_id, name, config)
            select configuration_id, application_id, name, config from configuration_revisions
            where revision = 2
            """
        )

        async def while_the_other_has_not_committed() -> database.Row:
            rolling_back = asyncio.create_task(rollback(deleted))
            await asyncio.to_thread(until_one_waits_for_a_lock)
            await asyncio.to_thread(other.commit)
            return await rolling_back

        def until_one_waits_for_a_lock() -> None:
            give_up = time.monotonic() + 4
            while not tables.rows("select pid from pg_locks where not granted"):
                assert time.monotonic() < give_up
                time.sleep(0.01)

        now = run(while_the_other_has_not_committed())
    assert (now["revision"], json.loads(now["body"])["name"]) == (5, "first")


def test_history_says_why(run: Repositories, tables: Tables, configuration: str) -> None:
    run(rollback(configuration), note="50 % off")
    found = tables.rows("select note from configuration_revisions order by revision")
    assert found == [(None,), (None,), ("50 % off",)]


def test_a_dry_run_answers_as_the_rollback_itself_and_leaves_no_trace(
    run: Repositories, tables: Tables, configuration: str
) -> None:
    for found, revision in ((2, 3), (None, 5)):
        tried = run(rollback(configuration), dry_run=True, note="why")
        assert (tried["found"], tried["revision"]) == (found, revision)
        recorded = "select max(revision), max(sequence), max(note) from configuration_revisions"
        assert tables.rows(recorded) == [(revision - 1, revision - 1, None)]
        assert run(rollback(configuration)) == tried
        tables.rows("delete from configurations")


def test_a_dry_run_is_refused_alike(
    run: Repositories, tables: Tables, owner: str, configuration: str
) -> None:
    tables.configuration(owner, "first")
    with pytest.raises(repository.NameTaken):
        run(rollback(configuration), dry_run=True)
    with pytest.raises(repository.NoSuchRevision):
        run(rollback(configuration, 9), dry_run=True)
    with pytest.raises(repository.PreconditionFailed):
        run(rollback(configuration, 1, [7]), dry_run=True)
