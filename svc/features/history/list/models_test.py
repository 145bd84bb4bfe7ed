import pytest
from pydantic import ValidationError

from features.history.list.models import ListRevisionsResponse

REVISION = {
    "revision": 3,
    "action": "update",
    "actor": "ann",
    "recorded_at": "2026-01-02T03:04:05.000600Z",
    "name": "production",
    "note": "why",
}


@pytest.mark.parametrize("action", ["create", "update", "delete", "rollback"])
def test_the_wire_has_what_is_known_of_the_revision_and_never_its_document(action: str) -> None:
    revision = {**REVISION, "action": action, "config": {}}
    told = ListRevisionsResponse.model_validate(revision)
    assert told.model_dump_json(exclude_unset=True) == (
        f'{{"revision":3,"action":"{action}","actor":"ann",'
        '"recorded_at":"2026-01-02T03:04:05.000600Z","name":"production","note":"why"}'
    )


@pytest.mark.parametrize(("member", "value"), [("action", "edit"), ("revision", 0)])
def test_another_action_or_a_revision_before_the_first_is_none(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        ListRevisionsResponse.model_validate({**REVISION, member: value})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]


@pytest.mark.parametrize("value", [None, 1, {"a": []}])
def test_a_value_is_there_where_there_was_one_null_included(value: object) -> None:
    told = ListRevisionsResponse.model_validate({**REVISION, "value": value})
    assert told.model_dump(exclude_unset=True) == {**REVISION, "value": value}
