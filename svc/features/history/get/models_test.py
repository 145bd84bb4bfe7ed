from datetime import UTC, datetime

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
    "recorded_at": datetime(2026, 1, 2, tzinfo=UTC),
}


def test_a_response_is_the_configuration_with_what_is_known_of_the_revision() -> None:
    assert GetRevisionResponse.model_validate(REVISION).model_dump() == REVISION


@pytest.mark.parametrize("member", sorted(REVISION))
def test_a_response_has_all_of_it(member: str) -> None:
    given = {name: value for name, value in REVISION.items() if name != member}
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        GetRevisionResponse.model_validate(given)


def test_another_action_is_none() -> None:
    with pytest.raises(ValidationError, match="action\n"):
        GetRevisionResponse.model_validate({**REVISION, "action": "edit"})
