import pytest
from pydantic import ValidationError

from features.content.get.models import GetContentItem, GetContentResponse

ITEM = {"revision": 3, "comments": None, "config": {"a": 1}}


@pytest.mark.parametrize("member", sorted(ITEM))
def test_no_member_of_an_item_may_be_missing(member: str) -> None:
    item = {name: value for name, value in ITEM.items() if name != member}
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        GetContentItem.model_validate(item)


@pytest.mark.parametrize("member", ["sequence", "configurations"])
def test_no_member_of_the_content_may_be_missing(member: str) -> None:
    content = {"sequence": 0, "configurations": {"production": ITEM}}
    del content[member]
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        GetContentResponse.model_validate(content)


def test_an_application_without_a_change_is_at_0() -> None:
    with pytest.raises(ValidationError, match="sequence\n"):
        GetContentResponse.model_validate({"sequence": -1, "configurations": {}})
    assert GetContentResponse.model_validate({"sequence": 0, "configurations": {}}).sequence == 0
