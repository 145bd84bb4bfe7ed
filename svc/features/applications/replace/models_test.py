import pytest
from pydantic import ValidationError

from features.applications.replace.models import ReplaceApplicationRequest

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"


def test_comments_left_out_are_null() -> None:
    assert ReplaceApplicationRequest(name="x" * 256).comments is None


def test_the_read_only_members_of_get_are_accepted() -> None:
    got = {"id": ID, "name": "billing", "comments": None, "configuration_ids": [ID]}
    assert ReplaceApplicationRequest.model_validate(got).model_dump() == got


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("name", ""),
        ("name", "x" * 257),
        ("name", "a\x00b"),
        ("name", " billing"),
        ("name", None),
        ("comments", "x" * 1025),
        ("comments", 7),
        ("comment", "ours"),
        ("id", "1"),
        ("configuration_ids", ID),
    ],
)
def test_an_invalid_or_unknown_member_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        ReplaceApplicationRequest.model_validate({"name": "billing", member: value})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]


def test_a_name_is_required() -> None:
    with pytest.raises(ValidationError, match="name\n  Field required"):
        ReplaceApplicationRequest.model_validate({"id": ID})


@pytest.mark.parametrize("member", ["id", "configuration_ids"])
def test_a_read_only_member_may_be_left_out_but_not_null(member: str) -> None:
    given = ReplaceApplicationRequest.model_validate({"name": "billing"})
    assert getattr(given, member) is None
    with pytest.raises(ValidationError) as raised:
        ReplaceApplicationRequest.model_validate({"name": "billing", member: None})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]
