from features.health.ready.models import GetReadinessResponse


def test_the_status_is_ready() -> None:
    assert GetReadinessResponse().model_dump() == {"status": "ready"}
