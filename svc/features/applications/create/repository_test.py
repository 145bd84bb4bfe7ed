import pytest
from psycopg2.errors import CheckViolation, UniqueViolation

from conftest import Repositories, Tables
from features.applications.create import repository


def test_a_new_application_is_a_row_with_an_id_of_its_own(
    run: Repositories, tables: Tables
) -> None:
    made = [run(repository.create(name, "ours")) for name in ("billing", "shipping")]
    found = tables.rows("select id, name, comments from applications order by name")
    assert [tuple(row.values()) for row in made] == found
    assert made[0]["id"] != made[1]["id"]


def test_a_name_is_taken_once(run: Repositories, tables: Tables) -> None:
    tables.application("billing")
    with pytest.raises(repository.NameTaken):
        run(repository.create("billing", None))
    run(repository.create("Billing", None))


def test_another_constraint_passes_untouched(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckViolation):
        run(repository.create(" billing", None))
    application = tables.application("shipping")
    monkeypatch.setattr(repository, "new_ulid", lambda: application)
    with pytest.raises(UniqueViolation) as raised:
        run(repository.create("billing", None))
    assert raised.value.diag.constraint_name == "applications_pkey"


def test_a_dry_run_creates_nothing_and_is_refused_alike(run: Repositories, tables: Tables) -> None:
    tables.application("taken")
    tried = run(repository.create("billing", "ours"), dry_run=True)
    assert (tried["name"], tried["comments"]) == ("billing", "ours")
    with pytest.raises(repository.NameTaken):
        run(repository.create("taken", None), dry_run=True)
    assert tables.rows("select name from applications") == [("taken",)]
