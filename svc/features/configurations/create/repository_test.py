import pytest
from psycopg2.errors import CheckViolation, UniqueViolation

from conftest import Repositories, Tables
from features.configurations.create import repository

LONG = f'{{"a": [{", ".join(["1e308"] * 4000)}]}}'  # printed it has 1.2 MB


def test_a_new_configuration_is_a_row_and_its_text_has_every_digit(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    made = run(repository.create(owner, "production", "ours", '{"rate": 1.10}'), actor="ann")
    assert made["body"] == (
        f'{{"id":"{made["id"]}","application_id":"{owner}","name":"production",'
        '"comments":"ours","config":{"rate": 1.10}}'
    )
    found = tables.rows("select id, name, comments, config::text, revision from configurations")
    assert found == [(made["id"], "production", "ours", '{"rate": 1.10}', 1)]
    found = tables.rows("select action, actor, revision from configuration_revisions")
    assert found == [("create", "ann", 1)]


def test_each_configuration_has_an_id_of_its_own(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    made = [run(repository.create(owner, name, None, "{}"))["id"] for name in "ab"]
    assert len(set(made)) == 2


def test_an_application_that_is_not_there_or_not_the_callers_does_not_exist(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    tables.application("other")
    with pytest.raises(repository.NoSuchApplication):
        run(repository.create("01ARZ3NDEKTSV4RRFFQ69G5FAV", "a", None, "{}"))
    with pytest.raises(repository.NoSuchApplication):
        run(repository.create(owner, "a", None, "{}"), confined_to="other")
    assert tables.rows("select * from configurations") == []
    run(repository.create(owner, "a", None, "{}"), confined_to="billing")


def test_a_document_that_is_long_to_print_is_too_large(run: Repositories, tables: Tables) -> None:
    with pytest.raises(repository.TooLarge):
        run(repository.create(tables.application(), "production", None, LONG))


def test_a_name_is_taken_once_in_an_application(run: Repositories, tables: Tables) -> None:
    owner, other = tables.application(), tables.application("other")
    tables.configuration(owner, "production")
    with pytest.raises(repository.NameTaken):
        run(repository.create(owner, "production", None, "{}"))
    run(repository.create(other, "production", None, "{}"))


def test_another_constraint_passes_untouched(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = tables.application()
    with pytest.raises(CheckViolation):
        run(repository.create(owner, "production", None, "[]"))
    configuration = tables.configuration(owner)
    monkeypatch.setattr(repository, "new_ulid", lambda: configuration)
    with pytest.raises(UniqueViolation) as raised:
        run(repository.create(owner, "staging", None, "{}"))
    assert raised.value.diag.constraint_name == "configurations_pkey"


def test_a_large_document_is_compressed_by_the_quickest_method_of_the_server(
    run: Repositories, tables: Tables
) -> None:
    run(repository.create(tables.application(), "production", None, f'{{"a": "{"x" * 10_000}"}}'))
    [(methods,)] = tables.rows(
        "select enumvals from pg_settings where name = 'default_toast_compression'"
    )
    quickest = "lz4" if "lz4" in methods else "pglz"
    found = tables.rows(
        "select pg_column_compression(configurations.config), pg_column_compression(kept.config)"
        " from configurations cross join configuration_revisions as kept"
    )
    assert found == [(quickest, quickest)]


def test_history_says_why(run: Repositories, tables: Tables) -> None:
    run(repository.create(tables.application(), "production", None, "{}"), note="50 % off")
    assert tables.rows("select note from configuration_revisions") == [("50 % off",)]


def test_a_dry_run_answers_as_the_change_itself_and_leaves_no_trace(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    tried = run(repository.create(owner, "production", None, "{}"), dry_run=True, note="why")
    assert f'"id":"{tried["id"]}"' in tried["body"]
    assert tables.rows("select revision from applications") == [(1,)]
    assert tables.rows("select * from configuration_revisions") == []
    made = run(repository.create(owner, "production", None, "{}"))
    assert made["body"] == tried["body"].replace(tried["id"], made["id"])
    assert tables.rows("select sequence from configuration_revisions") == [(1,)]


def test_a_dry_run_is_refused_alike(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    tables.configuration(owner, "taken")
    with pytest.raises(repository.NameTaken):
        run(repository.create(owner, "taken", None, "{}"), dry_run=True)
    with pytest.raises(repository.TooLarge):
        run(repository.create(owner, "new", None, LONG), dry_run=True)
    with pytest.raises(repository.NoSuchApplication):
        run(repository.create("01ARZ3NDEKTSV4RRFFQ69G5FAV", "a", None, "{}"), dry_run=True)
