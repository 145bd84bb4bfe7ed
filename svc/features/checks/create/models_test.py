import pytest
from pydantic import ValidationError

from features.checks.create.models import CreateCheckRequest

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
BODY = {"application_id": ID, "schema_id": ID, "layers": ["a"]}


def test_nothing_is_optional_where_that_is_left_out() -> None:
    assert CreateCheckRequest.model_validate(BODY).optional == []


@pytest.mark.parametrize("number", [1, 16])
def test_a_check_has_1_to_16_layers(number: int) -> None:
    names = [f"layer {one}" for one in range(number)]
    assert CreateCheckRequest.model_validate(BODY | {"layers": names}).layers == names


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("layers", []),
        ("layers", [f"layer {one}" for one in range(17)]),
        ("layers", ["a", "a"]),
        ("layers", "a"),
        ("optional", ["a", "a"]),
        ("optional", None),
        ("schema_id", "x"),
        ("name", "a"),
    ],
)
def test_anything_else_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        CreateCheckRequest.model_validate(BODY | {member: value})
    assert [error["loc"][0] for error in raised.value.errors()] == [member]


@pytest.mark.parametrize("member", sorted(BODY))
def test_no_other_member_may_be_missing(member: str) -> None:
    with pytest.raises(ValidationError, match=f"{member}\n  Field required"):
        CreateCheckRequest.model_validate({name: BODY[name] for name in BODY if name != member})
