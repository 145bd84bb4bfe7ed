from typing import Any

import pytest
from pydantic import ValidationError

from features.content.patch.models import PatchContentChange, PatchContentRequest
from wire.documents import ObjectText


def given(configurations: object, **members: object) -> Any:
    content = {"configurations": configurations, **members}
    request = PatchContentRequest.model_validate(content)
    return request.model_dump(exclude_unset=True)["configurations"]


def test_what_is_left_out_is_not_part_of_the_patch() -> None:
    text = '{"rate": 1.10, "gone": null}'
    items = {
        "a": {},
        "b": None,
        "c": {"comments": None},
        "d": {"config": ObjectText(text), "revision": 0},
    }
    assert given(items) == {**items, "d": {"config": text, "revision": 0}}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("comments", "x" * 1025),
        ("comments", 1),
        ("config", None),
        ("config", []),
        ("config", "{}"),
        ("revision", None),
        ("revision", -1),
        ("revision", "3"),
        ("revision", 3.0),
        ("revision", True),
        ("revision", 10**18),
        ("name", "new"),
        ("sequence", 3),
    ],
)
def test_an_invalid_or_unknown_member_of_an_item_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        given({"production": {member: value}})
    assert [error["loc"] for error in raised.value.errors()] == [
        ("configurations", "production", member)
    ]


@pytest.mark.parametrize("item", [[], "{}", 1, True])
def test_an_item_is_an_object_or_null(item: object) -> None:
    with pytest.raises(ValidationError, match="should be a JSON object") as raised:
        given({"production": item})
    assert [error["loc"] for error in raised.value.errors()] == [("configurations", "production")]


@pytest.mark.parametrize("name", ["", " a", "a\n", "a\0", "x" * 257])
def test_a_key_is_a_name_that_a_configuration_can_have(name: str) -> None:
    with pytest.raises(ValidationError) as raised:
        given({name: None})
    assert raised.value.errors()[0]["loc"][:2] == ("configurations", name)


@pytest.mark.parametrize("configurations", [None, [], "a"])
def test_there_are_configurations_and_nothing_beside_them(configurations: object) -> None:
    with pytest.raises(ValidationError, match="should be a JSON object"):
        given(configurations)
    with pytest.raises(ValidationError, match="configurations\n  Field required"):
        PatchContentRequest.model_validate({})
    with pytest.raises(ValidationError, match="sequence\n  Extra inputs"):
        given({}, sequence=3)


def test_a_change_has_an_action_of_its_own() -> None:
    change = {"name": "production", "revision": 1, "patch": []}
    for action in ("create", "update", "delete"):
        assert PatchContentChange.model_validate({**change, "action": action}).action == action
    with pytest.raises(ValidationError, match="action\n"):
        PatchContentChange.model_validate({**change, "action": "rollback"})
