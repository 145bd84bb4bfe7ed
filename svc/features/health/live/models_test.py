from features.health.live.models import GetHealthResponse


def test_the_status_is_ok() -> None:
    assert GetHealthResponse().model_dump() == {"status": "ok"}
