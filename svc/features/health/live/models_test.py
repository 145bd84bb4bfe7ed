import pytest
from pydantic import ValidationError

from features.health.live.models import GetHealthResponse


def test_the_status_is_ok() -> None:
    assert GetHealthResponse().model_dump() == {"status": "ok"}


def test_there_is_no_other_status() -> None:
    with pytest.raises(ValidationError):
        GetHealthResponse.model_validate({"status": "down"})
