import pytest
from pydantic import ValidationError

from features.configurations.replace.models import ReplaceConfigurationRequest
from wire.documents import ObjectText

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
LEAST: dict[str, object] = {"name": "production", "config": ObjectText('{"rate": 1.10}')}


def test_a_document_stays_the_text_that_was_sent_and_comments_left_out_are_null() -> None:
    given = ReplaceConfigurationRequest.model_validate(LEAST)
    assert (given.comments, given.config) == (None, '{"rate": 1.10}')


def test_the_read_only_members_of_get_are_accepted_in_either_case() -> None:
    given = ReplaceConfigurationRequest.model_validate(
        {**LEAST, "comments": None, "id": ID, "application_id": ID.lower()}
    )
    assert (given.id, given.application_id) == (ID, ID)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", "1"),
        ("application_id", "1"),
        ("name", ""),
        ("name", "x" * 257),
        ("name", "a\x00b"),
        ("name", "production "),
        ("comments", "x" * 1025),
        ("config", None),
        ("config", []),
        ("config", "{}"),
        ("configuration_ids", []),
    ],
)
def test_an_invalid_or_unknown_member_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        ReplaceConfigurationRequest.model_validate({**LEAST, member: value})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]


@pytest.mark.parametrize("member", sorted(LEAST))
def test_a_name_and_a_config_are_required(member: str) -> None:
    given = {name: value for name, value in LEAST.items() if name != member}
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        ReplaceConfigurationRequest.model_validate(given)


@pytest.mark.parametrize("member", ["id", "application_id"])
def test_a_read_only_member_may_be_left_out_but_not_null(member: str) -> None:
    given = ReplaceConfigurationRequest.model_validate(LEAST)
    assert getattr(given, member) is None
    with pytest.raises(ValidationError) as raised:
        ReplaceConfigurationRequest.model_validate({**LEAST, member: None})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]
