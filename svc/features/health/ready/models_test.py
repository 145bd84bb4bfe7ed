import pytest
from pydantic import ValidationError

from features.health.ready.models import GetReadinessResponse


def test_the_status_is_ready() -> None:
    assert GetReadinessResponse().model_dump() == {"status": "ready"}


def test_there_is_no_other_status() -> None:
    with pytest.raises(ValidationError):
        GetReadinessResponse.model_validate({"status": "starting"})
