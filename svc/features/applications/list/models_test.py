import pytest
from pydantic import ValidationError

from features.applications.list.models import ListApplicationsResponse

ROW = {"id": "01K3Z5W8Q4R7T2V9X6Y1B3C5D7", "name": "billing", "comments": None}


def test_an_item_is_the_row() -> None:
    assert ListApplicationsResponse.model_validate(ROW).model_dump() == ROW


@pytest.mark.parametrize("member", sorted(ROW))
def test_no_member_may_be_missing(member: str) -> None:
    row = {name: value for name, value in ROW.items() if name != member}
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        ListApplicationsResponse.model_validate(row)
