import asyncio
from typing import Any

import pytest
from psycopg2.errors import CheckViolation, UniqueViolation

from conftest import Listener, violation
from features.configurations.patch import repository


def patch(members: dict[str, Any], revisions: list[int] | None = None) -> object:
    return asyncio.run(repository.patch("C", members, revisions))


@pytest.mark.parametrize("revisions", [None, [3, 4]])
@pytest.mark.parametrize(
    ("members", "bound"),
    [
        ({}, {}),
        ({"name": "staging"}, {"name": "staging"}),
        ({"comments": None}, {"comments_given": True}),
        ({"comments": "ours"}, {"comments_given": True, "comments": "ours"}),
        ({"config": '{"a": null}'}, {"config": '{"a": null}'}),
        ({"id": "C", "application_id": "A"}, {"application_id": "A"}),
    ],
)
def test_one_update_changes_what_the_patch_has_at_those_revisions(
    listener: Listener,
    members: dict[str, Any],
    bound: dict[str, Any],
    revisions: list[int] | None,
) -> None:
    listener.rows = [{"application_id": "A", "found": 3, "revision": 4, "body": "{}"}]
    assert patch(members, revisions) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "write"
    assert "for no key update" in sql
    assert "name = coalesce(%(name)s, name)" in sql
    assert "case when %(comments_given)s then %(comments)s else comments end" in sql
    assert "config = merge_patch(config, %(config)s)" in sql
    assert "application_id = coalesce(%(application_id)s, found.application_id)" in sql
    assert "(%(revisions)s::bigint[] is null or found.revision = any(%(revisions)s))" in sql
    unchanged = {"name": None, "comments": None, "comments_given": False, "config": "{}"}
    assert values == {
        "id": "C",
        "application_id": None,
        "revisions": revisions,
        **unchanged,
        **bound,
    }


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        patch({})


def test_a_row_of_another_application_is_not_changed(listener: Listener) -> None:
    listener.rows = [{"application_id": "A", "found": 7, "body": None}]
    with pytest.raises(repository.OtherApplication):
        patch({"application_id": "B"})


@pytest.mark.parametrize("members", [{}, {"application_id": "A"}])
def test_a_row_at_another_revision_is_not_changed(
    listener: Listener, members: dict[str, Any]
) -> None:
    listener.rows = [{"application_id": "A", "found": 7, "body": None}]
    with pytest.raises(repository.PreconditionFailed) as raised:
        patch(members, [3])
    assert raised.value.args == (7,)


def test_a_document_that_does_not_fit_is_too_large(listener: Listener) -> None:
    listener.error = violation(CheckViolation, "configurations_config_fits")
    with pytest.raises(repository.TooLarge):
        patch({"config": "{}"})


def test_the_name_that_is_unique_in_the_application_is_taken(listener: Listener) -> None:
    listener.error = violation(UniqueViolation, "configurations_application_id_name_key")
    with pytest.raises(repository.NameTaken):
        patch({"name": "staging"})


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
        patch({})
    assert raised.value is error
