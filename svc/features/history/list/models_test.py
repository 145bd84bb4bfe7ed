from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from features.history.list.models import ListRevisionsResponse

REVISION = {
    "revision": 3,
    "action": "update",
    "actor": "ann",
    "recorded_at": datetime(2026, 1, 2, tzinfo=UTC),
    "name": "production",
}


@pytest.mark.parametrize("action", ["create", "update", "delete", "rollback"])
def test_an_item_is_what_is_known_of_the_revision_without_its_document(action: str) -> None:
    revision = {**REVISION, "action": action}
    given = ListRevisionsResponse.model_validate({**revision, "config": {}})
    assert given.model_dump() == revision


@pytest.mark.parametrize(("member", "value"), [("action", "edit"), ("revision", 0)])
def test_another_action_or_a_revision_before_the_first_is_none(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        ListRevisionsResponse.model_validate({**REVISION, member: value})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]
