import pytest
from pydantic import ValidationError

from features.checks.list.models import ListChecksResponse

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
BODY = {"id": ID, "application_id": ID, "schema_id": ID, "layers": ["a"], "optional": []}


@pytest.mark.parametrize("member", sorted(BODY))
def test_no_member_may_be_missing(member: str) -> None:
    body = {name: value for name, value in BODY.items() if name != member}
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        ListChecksResponse.model_validate(body)
