import pytest
from pydantic import ValidationError

from features.configurations.patch.models import PatchConfigurationRequest
from wire.documents import ObjectText

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"


def given(**members: object) -> dict[str, object]:
    return PatchConfigurationRequest.model_validate(members).model_dump(exclude_unset=True)


def test_what_is_left_out_is_not_part_of_the_patch() -> None:
    assert given() == {}
    assert given(name="staging") == {"name": "staging"}


def test_comments_may_be_removed() -> None:
    assert given(comments=None) == {"comments": None}


def test_a_document_stays_the_text_that_was_sent() -> None:
    text = '{"rate": 1.10, "gone": null}'
    assert given(config=ObjectText(text)) == {"config": text}


def test_the_read_only_members_of_get_are_accepted_in_either_case() -> None:
    assert given(id=ID, application_id=ID.lower()) == {"id": ID, "application_id": ID}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", "1"),
        ("id", None),
        ("application_id", "1"),
        ("application_id", None),
        ("name", ""),
        ("name", None),
        ("name", "x" * 257),
        ("name", "production "),
        ("comments", "x" * 1025),
        ("config", None),
        ("config", []),
        ("config", "{}"),
        ("comment", "ours"),
    ],
)
def test_an_invalid_or_unknown_member_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        given(**{member: value})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]
