import pytest
from pydantic import ValidationError

from features.configurations.create.models import CreateConfigurationRequest
from wire.documents import ObjectText

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
LEAST = {"application_id": ID, "name": "production"}


def test_what_is_left_out_is_null_and_an_empty_document() -> None:
    given = CreateConfigurationRequest.model_validate(LEAST)
    assert (given.comments, given.config) == (None, "{}")


def test_a_document_stays_the_text_that_was_sent() -> None:
    given = CreateConfigurationRequest.model_validate(
        {**LEAST, "comments": "ours", "config": ObjectText('{"rate": 1.10}')}
    )
    assert (given.comments, given.config) == ("ours", '{"rate": 1.10}')


def test_the_application_may_be_in_lower_case() -> None:
    given = CreateConfigurationRequest.model_validate({**LEAST, "application_id": ID.lower()})
    assert given.application_id == ID


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("application_id", "1"),
        ("application_id", None),
        ("name", ""),
        ("name", "x" * 257),
        ("name", "a\x00b"),
        ("name", "production "),
        ("comments", "x" * 1025),
        ("config", None),
        ("config", []),
        ("config", "{}"),
        ("configs", ObjectText("{}")),
        ("id", ID),
    ],
)
def test_an_invalid_or_unknown_member_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        CreateConfigurationRequest.model_validate({**LEAST, member: value})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]


@pytest.mark.parametrize("member", sorted(LEAST))
def test_an_application_and_a_name_are_required(member: str) -> None:
    given = {name: value for name, value in LEAST.items() if name != member}
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        CreateConfigurationRequest.model_validate(given)
