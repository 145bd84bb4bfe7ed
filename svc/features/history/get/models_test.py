import pytest
from pydantic import ValidationError

from features.history.get.models import GetRevisionResponse

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
REVISION = {
    "id": ID,
    "application_id": ID,
    "name": "production",
    "comments": None,
    "config": {"a": {"b": 1}},
    "revision": 3,
    "action": "rollback",
    "actor": "ann",
    "recorded_at": "2026-01-02T03:04:05.000600Z",
    "note": "why",
}


@pytest.mark.parametrize("member", sorted(REVISION))
def test_a_response_has_all_of_it(member: str) -> None:
    given = {name: value for name, value in REVISION.items() if name != member}
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        GetRevisionResponse.model_validate(given)


def test_another_action_is_none() -> None:
    with pytest.raises(ValidationError, match="action\n"):
        GetRevisionResponse.model_validate({**REVISION, "action": "edit"})
