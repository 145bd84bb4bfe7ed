from typing import Any

import pytest
from pydantic import ValidationError

from features.content.replace.models import ReplaceContentChange, ReplaceContentRequest
from wire.documents import ObjectText

CONFIG = ObjectText('{"rate": 1.10}')


def given(configurations: object, **members: object) -> ReplaceContentRequest:
    content: dict[str, Any] = {"configurations": configurations, **members}
    return ReplaceContentRequest.model_validate(content)


def test_a_document_stays_the_text_that_was_sent_and_comments_left_out_are_null() -> None:
    item = given({"production": {"config": CONFIG}}).configurations["production"]
    assert (item.comments, item.config) == (None, '{"rate": 1.10}')


def test_the_read_only_members_of_get_are_accepted() -> None:
    item = {"revision": 3, "comments": "ours", "config": CONFIG}
    assert given({"production": item}, sequence=46).configurations["production"].comments == "ours"
    assert given({}, sequence=0).configurations == {}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("comments", "x" * 1025),
        ("config", None),
        ("config", []),
        ("config", "{}"),
        ("revision", None),
        ("revision", -1),
        ("revision", "3"),
        ("revision", 3.0),
        ("name", "new"),
    ],
)
def test_an_invalid_or_unknown_member_of_an_item_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        given({"production": {"config": CONFIG, member: value}})
    assert [error["loc"] for error in raised.value.errors()] == [
        ("configurations", "production", member)
    ]


def test_an_item_without_a_config_is_refused() -> None:
    with pytest.raises(ValidationError, match="config\n  Field required"):
        given({"production": {}})


@pytest.mark.parametrize("item", [None, [], "{}", 1])
def test_an_item_is_an_object(item: object) -> None:
    with pytest.raises(ValidationError, match="should be a JSON object") as raised:
        given({"production": item})
    assert [error["loc"] for error in raised.value.errors()] == [("configurations", "production")]


@pytest.mark.parametrize("name", ["", " a", "a\n", "a\0", "x" * 257])
def test_a_key_is_a_name_that_a_configuration_can_have(name: str) -> None:
    with pytest.raises(ValidationError) as raised:
        given({name: {"config": CONFIG}})
    assert raised.value.errors()[0]["loc"][:2] == ("configurations", name)


@pytest.mark.parametrize(
    ("member", "value"), [("sequence", None), ("sequence", -1), ("sequence", "3"), ("name", "a")]
)
def test_an_invalid_or_unknown_member_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        given({}, **{member: value})
    assert [error["loc"] for error in raised.value.errors()] == [(member,)]


def test_configurations_are_required() -> None:
    with pytest.raises(ValidationError, match="configurations\n  Field required"):
        ReplaceContentRequest.model_validate({"sequence": 3})


def test_a_change_has_an_action_of_its_own() -> None:
    change = {"name": "production", "revision": 1, "patch": []}
    for action in ("create", "update", "delete"):
        assert ReplaceContentChange.model_validate({**change, "action": action}).action == action
    with pytest.raises(ValidationError, match="action\n"):
        ReplaceContentChange.model_validate({**change, "action": "rollback"})
