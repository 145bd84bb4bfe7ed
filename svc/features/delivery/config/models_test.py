import pytest
from pydantic import ValidationError

from features.delivery.config.models import ExplainedConfigResponse


@pytest.mark.parametrize("layer", [{"name": "eu"}, {"revision": 4}, {"name": "eu", "revision": 0}])
def test_a_layer_has_a_name_and_a_revision(layer: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as raised:
        ExplainedConfigResponse.model_validate({"config": {}, "origin": {"rates": [layer]}})
    assert [error["loc"][:3] for error in raised.value.errors()] == [("origin", "rates", 0)]
