import pytest
from psycopg2.errors import CheckViolation

import database
from conftest import Repositories, Tables
from features.configurations.replace import repository

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
LONG = f'{{"a": [{", ".join(["1e308"] * 4000)}]}}'  # printed it has 1.2 MB


async def replace(
    configuration: str,
    application_id: str | None = None,
    revisions: list[int] | None = None,
    name: str = "production",
    config: str = '{"rate": 1.10}',
) -> database.Row:
    return await repository.replace(configuration, application_id, name, "ours", config, revisions)


@pytest.mark.parametrize("revisions", [None, [1], [7, 1]])
@pytest.mark.parametrize("names_its_application", [True, False])
def test_the_row_is_what_was_given_at_the_next_revision(
    run: Repositories, tables: Tables, revisions: list[int] | None, names_its_application: bool
) -> None:
    owner = tables.application()
    configuration = tables.configuration(owner)
    tables.configuration(owner, "other")
    given = owner if names_its_application else None
    replaced = run(replace(configuration, given, revisions, "staging"), actor="ann")
    assert replaced["revision"] == 2
    assert replaced["body"] == (
        f'{{"id":"{configuration}","application_id":"{owner}","name":"staging",'
        '"comments":"ours","config":{"rate": 1.10}}'
    )
    found = tables.rows("select name, comments, config::text from configurations order by name")
    assert found == [("other", None, "{}"), ("staging", "ours", '{"rate": 1.10}')]
    assert tables.rows("select actor from configuration_revisions where revision = 2") == [("ann",)]


def test_a_change_that_changes_nothing_keeps_the_revision(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    assert [run(replace(configuration))["revision"] for _ in range(2)] == [2, 2]


@pytest.mark.parametrize("revisions", [[], [2, 3]])
def test_a_configuration_at_another_revision_stays_as_it_is(
    run: Repositories, tables: Tables, revisions: list[int]
) -> None:
    owner = tables.application()
    configuration, _ = tables.configuration(owner), tables.configuration(owner, "taken")
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(replace(configuration, owner, revisions, "taken"))
    assert raised.value.revision == 1


def test_a_configuration_of_another_application_stays_as_it_is(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(repository.OtherApplication):
        run(replace(configuration, NOWHERE, [7]))
    assert tables.rows("select revision from configurations") == [(1,)]


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    tables.application("other")
    with pytest.raises(repository.NotFound):
        run(replace(NOWHERE, revisions=[7]))
    with pytest.raises(repository.NotFound):
        run(replace(configuration, revisions=[7]), confined_to="other")
    assert run(replace(configuration), confined_to="billing")["revision"] == 2


def test_a_document_that_is_long_to_print_is_too_large(run: Repositories, tables: Tables) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(repository.TooLarge):
        run(replace(configuration, config=LONG))


def test_the_name_of_another_is_taken(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    configuration, _ = tables.configuration(owner), tables.configuration(owner, "taken")
    with pytest.raises(repository.NameTaken):
        run(replace(configuration, name="taken"))


def test_another_constraint_passes_untouched(run: Repositories, tables: Tables) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(CheckViolation):
        run(replace(configuration, config="[]"))


def test_each_of_a_batch_is_held_to_its_own_revisions(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = tables.application()
    ids = [tables.configuration(owner, name) for name in "abcde"]
    asked: list[database.Values] = []
    statements = set[str]()

    async def write_batched(sql: str, values: database.Values) -> None:
        asked.append(values)
        statements.add(sql)

    monkeypatch.setattr(database, "write_batched", write_batched)
    for configuration, revisions in zip(ids, [None, [], [1], [3, 1], [3, 4]], strict=True):
        with pytest.raises(repository.NotFound):
            run(replace(configuration, None, revisions, configuration))
    [statement] = statements
    lists = {name: [values[name] for values in asked] for name in asked[0]}
    rows = {row["id"]: row for row in run(database.write(statement, lists))}
    assert [rows[configuration]["revision"] for configuration in ids] == [2, None, 2, 2, None]


def test_history_says_why(run: Repositories, tables: Tables) -> None:
    configuration = tables.configuration(tables.application())
    run(replace(configuration), note="Refunds count twice, 50 %")
    found = tables.rows("select revision, note from configuration_revisions order by revision")
    assert found == [(1, None), (2, "Refunds count twice, 50 %")]


def test_a_dry_run_answers_as_the_change_itself_and_leaves_no_trace(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    tried = run(replace(configuration), dry_run=True, note="why")
    assert tables.rows("select revision, config from configurations") == [(1, {})]
    assert tables.rows("select revision, sequence from configuration_revisions") == [(1, 1)]
    assert run(replace(configuration)) == tried
    assert (tried["found"], tried["revision"]) == (1, 2)
    assert tables.rows("select max(sequence) from configuration_revisions") == [(2,)]


def test_a_dry_run_is_refused_alike(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    configuration, _ = tables.configuration(owner), tables.configuration(owner, "taken")
    with pytest.raises(repository.NameTaken):
        run(replace(configuration, name="taken"), dry_run=True)
    with pytest.raises(repository.TooLarge):
        run(replace(configuration, config=LONG), dry_run=True)
    with pytest.raises(repository.PreconditionFailed):
        run(replace(configuration, revisions=[7]), dry_run=True)
