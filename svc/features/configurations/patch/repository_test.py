import json
from typing import Any

import pytest
from psycopg2.errors import CheckViolation

from conftest import Repositories, Tables
from features.configurations.patch import repository

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
LONG = f'{{"a": [{", ".join(["1e308"] * 4000)}]}}'  # printed it has 1.2 MB


@pytest.mark.parametrize("revisions", [None, [2], [7, 2]])
@pytest.mark.parametrize(
    ("members", "changed"),
    [
        ({"name": "staging"}, {"name": "staging"}),
        ({"comments": None}, {"comments": None}),
        ({"comments": "theirs"}, {"comments": "theirs"}),
        ({"config": '{"a": null, "b": 1.10}'}, {"config": '{"b": 1.10, "c": 3}'}),
    ],
)
def test_what_the_patch_has_changes_and_nothing_else(
    run: Repositories,
    tables: Tables,
    members: dict[str, Any],
    changed: dict[str, Any],
    revisions: list[int] | None,
) -> None:
    configuration = tables.configuration(tables.application(), config='{"a": 1, "c": 3}')
    tables.rows("update configurations set comments = 'ours'")
    before = {"name": "production", "comments": "ours", "config": '{"a": 1, "c": 3}'}
    patched = run(repository.patch(configuration, members, revisions), actor="ann")
    assert patched["revision"] == 3
    [found] = tables.rows("select name, comments, config::text from configurations")
    assert dict(zip(before, found, strict=True)) == before | changed
    assert f'"config":{found[2]}}}' in patched["body"]
    assert tables.rows("select actor from configuration_revisions where revision = 3") == [("ann",)]


@pytest.mark.parametrize("members", [{}, {"config": "{}"}, {"name": "production"}])
def test_a_patch_that_changes_nothing_keeps_the_revision(
    run: Repositories, tables: Tables, members: dict[str, Any]
) -> None:
    owner = tables.application()
    configuration = tables.configuration(owner)
    patched = run(
        repository.patch(
            configuration, {**members, "id": configuration, "application_id": owner}, None
        )
    )
    assert patched["revision"] == 1
    assert json.loads(patched["body"])["id"] == configuration


@pytest.mark.parametrize("revisions", [[], [2, 3]])
def test_a_configuration_at_another_revision_stays_as_it_is(
    run: Repositories, tables: Tables, revisions: list[int]
) -> None:
    owner = tables.application()
    configuration, _ = tables.configuration(owner), tables.configuration(owner, "taken")
    with pytest.raises(repository.PreconditionFailed) as raised:
        run(repository.patch(configuration, {"name": "taken", "application_id": owner}, revisions))
    assert raised.value.revision == 1


def test_a_configuration_of_another_application_stays_as_it_is(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(repository.OtherApplication):
        run(repository.patch(configuration, {"name": "new", "application_id": NOWHERE}, [7]))
    assert tables.rows("select name from configurations") == [("production",)]


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    tables.application("other")
    with pytest.raises(repository.NotFound):
        run(repository.patch(NOWHERE, {"name": "new"}, [7]))
    with pytest.raises(repository.NotFound):
        run(repository.patch(configuration, {"name": "new"}, [7]), confined_to="other")
    assert (
        run(repository.patch(configuration, {"name": "new"}, None), confined_to="billing")[
            "revision"
        ]
        == 2
    )


def test_a_document_that_is_long_to_print_is_too_large(run: Repositories, tables: Tables) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(repository.TooLarge):
        run(repository.patch(configuration, {"config": LONG}, None))


def test_the_name_of_another_is_taken(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    configuration, _ = tables.configuration(owner), tables.configuration(owner, "taken")
    with pytest.raises(repository.NameTaken):
        run(repository.patch(configuration, {"name": "taken"}, None))


def test_another_constraint_passes_untouched(run: Repositories, tables: Tables) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(CheckViolation):
        run(repository.patch(configuration, {"name": " production"}, None))


def test_history_says_why(run: Repositories, tables: Tables) -> None:
    configuration = tables.configuration(tables.application())
    run(repository.patch(configuration, {"name": "new"}, None), note="50 % off")
    found = tables.rows("select revision, note from configuration_revisions order by revision")
    assert found == [(1, None), (2, "50 % off")]


def test_a_dry_run_answers_as_the_change_itself_and_leaves_no_trace(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    members = {"config": '{"rate": 1.10}'}
    tried = run(repository.patch(configuration, members, None), dry_run=True, note="why")
    assert tables.rows("select revision, config from configurations") == [(1, {})]
    assert tables.rows("select revision, sequence from configuration_revisions") == [(1, 1)]
    assert run(repository.patch(configuration, members, [tried["found"]])) == tried
    assert tables.rows("select max(sequence) from configuration_revisions") == [(2,)]


def test_a_dry_run_is_refused_alike(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    configuration, _ = tables.configuration(owner), tables.configuration(owner, "taken")
    with pytest.raises(repository.NameTaken):
        run(repository.patch(configuration, {"name": "taken"}, None), dry_run=True)
    with pytest.raises(repository.TooLarge):
        run(repository.patch(configuration, {"config": LONG}, None), dry_run=True)
    with pytest.raises(repository.PreconditionFailed):
        run(repository.patch(configuration, {}, [7]), dry_run=True)
