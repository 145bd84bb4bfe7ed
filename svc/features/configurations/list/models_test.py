import pytest
from pydantic import ValidationError

from features.configurations.list.models import ListConfigurationsResponse

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
ROW = {"id": ID, "application_id": ID, "name": "production", "comments": None}


def test_the_wire_has_null_where_there_are_no_comments_and_never_the_document() -> None:
    row = {**ROW, "config": {"a": 1}}
    assert ListConfigurationsResponse.model_validate(row).model_dump_json() == (
        f'{{"id":"{ID}","application_id":"{ID}","name":"production","comments":null}}'
    )


@pytest.mark.parametrize("member", sorted(ROW))
def test_no_member_may_be_missing(member: str) -> None:
    row = {name: value for name, value in ROW.items() if name != member}
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        ListConfigurationsResponse.model_validate(row)
