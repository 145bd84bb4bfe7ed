import pytest
from pydantic import ValidationError

from features.delivery.changes.models import Change

CHANGE: dict[str, object] = {
    "sequence": 8,
    "configuration_id": "01K3Z5W8Q4R7T2V9X6Y1B3C5D7",
    "name": "production",
    "revision": 2,
    "action": "update",
    "actor": "ann",
    "recorded_at": "2026-01-02T03:04:05.000600Z",
    "note": None,
    "transaction": 9,
}


@pytest.mark.parametrize("action", ["create", "update", "delete", "rollback"])
def test_a_change_has_what_is_known_of_it_and_never_the_document(action: str) -> None:
    change = {**CHANGE, "action": action}
    assert Change.model_validate({**change, "config": {}}).model_dump(mode="json") == change


@pytest.mark.parametrize(
    ("member", "value"), [("action", "edit"), ("revision", 0), ("sequence", -1), ("name", "")]
)
def test_what_no_change_can_have_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        Change.model_validate({**CHANGE, member: value})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]
