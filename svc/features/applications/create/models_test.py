import pytest
from pydantic import ValidationError

from features.applications.create.models import CreateApplicationRequest

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"


@pytest.mark.parametrize("name", ["b", "two words", "x" * 256, "\U0001f600" * 256])
def test_a_name_has_1_to_256_code_points(name: str) -> None:
    assert CreateApplicationRequest(name=name).name == name


@pytest.mark.parametrize(
    "name", ["", "x" * 257, " billing", "billing\u2003", "a\x00b", "a\x7fb", "a\x85b", 7, None]
)
def test_any_other_name_is_refused(name: object) -> None:
    with pytest.raises(ValidationError) as raised:
        CreateApplicationRequest.model_validate({"name": name})
    assert raised.value.errors()[0]["loc"] == ("name",)


@pytest.mark.parametrize("comments", [None, "", "two\nlines", "x" * 1024])
def test_comments_are_a_text_or_null(comments: str | None) -> None:
    given = CreateApplicationRequest.model_validate({"name": "billing", "comments": comments})
    assert given.comments == comments


def test_comments_left_out_are_null() -> None:
    assert CreateApplicationRequest(name="billing").comments is None


@pytest.mark.parametrize(
    ("member", "value"),
    [("comments", "x" * 1025), ("comments", 7), ("comment", "ours"), ("id", ID)],
)
def test_a_long_comment_and_an_unknown_member_are_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        CreateApplicationRequest.model_validate({"name": "billing", member: value})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]


def test_a_name_is_required() -> None:
    with pytest.raises(ValidationError, match="name\n  Field required"):
        CreateApplicationRequest.model_validate({})
