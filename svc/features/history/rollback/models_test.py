import pytest
from pydantic import ValidationError

from features.history.rollback.models import RollbackConfigurationRequest

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
LAST = 10**18 - 1


@pytest.mark.parametrize("revision", [1, LAST])
def test_a_revision_is_a_whole_number_that_the_database_can_hold(revision: int) -> None:
    given = RollbackConfigurationRequest.model_validate({"revision": revision})
    assert given.revision == revision


@pytest.mark.parametrize("revision", [0, -1, LAST + 1, "3", 3.0, True, None])
def test_anything_else_is_no_revision(revision: object) -> None:
    with pytest.raises(ValidationError) as raised:
        RollbackConfigurationRequest.model_validate({"revision": revision})
    assert [error["loc"] for error in raised.value.errors()] == [("revision",)]


def test_a_revision_is_required() -> None:
    with pytest.raises(ValidationError, match="revision\n  Field required"):
        RollbackConfigurationRequest.model_validate({})


def test_an_unknown_member_is_refused() -> None:
    with pytest.raises(ValidationError, match="name\n  Extra inputs"):
        RollbackConfigurationRequest.model_validate({"revision": 3, "name": "production"})
