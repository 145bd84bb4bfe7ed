import pytest
from pydantic import ValidationError

from features.applications.list.models import ListApplicationsResponse

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
ROW = {"id": ID, "name": "billing", "comments": None}


def test_the_wire_has_all_members_and_null_where_there_are_no_comments() -> None:
    assert ListApplicationsResponse.model_validate(ROW | {"revision": 7}).model_dump_json() == (
        f'{{"id":"{ID}","name":"billing","comments":null}}'
    )


@pytest.mark.parametrize("member", sorted(ROW))
def test_no_member_may_be_missing(member: str) -> None:
    row = {name: value for name, value in ROW.items() if name != member}
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        ListApplicationsResponse.model_validate(row)
