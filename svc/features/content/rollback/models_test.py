import pytest
from pydantic import ValidationError

from features.content.rollback.models import RollbackContentChange, RollbackContentRequest


@pytest.mark.parametrize("sequence", [0, 17, 10**18 - 1])
def test_a_sequence_may_be_that_of_any_change_or_0(sequence: int) -> None:
    assert RollbackContentRequest.model_validate({"sequence": sequence}).sequence == sequence


@pytest.mark.parametrize("sequence", [-1, 10**18, 1.0, "17", True, None])
def test_what_is_no_sequence_is_refused(sequence: object) -> None:
    with pytest.raises(ValidationError) as raised:
        RollbackContentRequest.model_validate({"sequence": sequence})
    assert [error["loc"] for error in raised.value.errors()] == [("sequence",)]


def test_a_sequence_is_required_and_nothing_else_is_taken() -> None:
    with pytest.raises(ValidationError) as raised:
        RollbackContentRequest.model_validate({"revision": 17})
    assert [error["loc"] for error in raised.value.errors()] == [("sequence",), ("revision",)]


def test_a_change_is_a_rollback_or_a_deletion() -> None:
    change = {"name": "production", "revision": 1, "patch": []}
    for action in ("rollback", "delete"):
        assert RollbackContentChange.model_validate({**change, "action": action}).action == action
    for action in ("create", "update"):
        with pytest.raises(ValidationError, match="action\n"):
            RollbackContentChange.model_validate({**change, "action": action})
