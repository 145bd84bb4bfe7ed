import pytest

import database
from conftest import Repositories, Tables
from features.configurations.delete import repository


@pytest.mark.parametrize("revisions", [None, [1], [7, 1]])
def test_the_configuration_goes_and_leaves_its_history(
    run: Repositories, tables: Tables, revisions: list[int] | None
) -> None:
    owner = tables.application()
    configuration, kept = tables.configuration(owner), tables.configuration(owner, "staging")
    assert run(repository.delete(configuration, revisions), actor="ann", note="unused") == 1
    assert tables.rows("select id from configurations") == [(kept,)]
    found = tables.rows(
        "select revision, action, actor, note from configuration_revisions"
        " where configuration_id = %s order by revision",
        configuration,
    )
    assert found == [(1, "create", "anonymous", None), (2, "delete", "ann", "unused")]


@pytest.mark.parametrize("revisions", [[], [2, 3]])
def test_a_configuration_at_another_revision_stays(
    run: Repositories, tables: Tables, revisions: list[int]
) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.delete(configuration, revisions))
    assert raised.value.revision == 1
    assert tables.rows("select id from configurations") == [(configuration,)]


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    tables.application("other")
    with pytest.raises(repository.NotFound):
        run(repository.delete("01ARZ3NDEKTSV4RRFFQ69G5FAV", None))
    with pytest.raises(repository.NotFound):
        run(repository.delete(configuration, [7]), confined_to="other")
    run(repository.delete(configuration, None), confined_to="billing")
    assert tables.rows("select * from configurations") == []


def test_a_dry_run_tells_what_would_go_and_leaves_it(run: Repositories, tables: Tables) -> None:
    configuration = tables.configuration(tables.application())
    assert run(repository.delete(configuration, [1]), dry_run=True, note="unused") == 1
    with pytest.raises(repository.PreconditionFailed):
        run(repository.delete(configuration, [7]), dry_run=True)
    assert tables.rows("select id, revision from configurations") == [(configuration, 1)]
    assert tables.rows("select action, sequence from configuration_revisions") == [("create", 1)]


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
            run(repository.delete(configuration, revisions))
    [statement] = statements
    lists = {name: [values[name] for values in asked] for name in asked[0]}
    rows = {row["id"]: row for row in run(database.write(statement, lists))}
    gone = [rows[configuration]["is_deleted"] for configuration in ids]
    assert gone == [True, False, True, True, False]
    assert tables.rows("select name from configurations order by name") == [("b",), ("e",)]
