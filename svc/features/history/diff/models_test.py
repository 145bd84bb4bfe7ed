import pytest
from pydantic import ValidationError

from features.history.diff.models import DiffRevisionsResponse


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/a", "value": {"b": 1}},
        {"op": "replace", "path": "", "value": None},
        {"op": "remove", "path": "/a~1b"},
    ],
)
def test_an_operation_is_one_of_rfc_6902(operation: dict[str, object]) -> None:
    given = DiffRevisionsResponse.model_validate(operation)
    assert given.model_dump(exclude_unset=True) == operation


@pytest.mark.parametrize("op", ["test", "move", "copy", None])
def test_a_diff_neither_tests_nor_moves(op: str | None) -> None:
    with pytest.raises(ValidationError, match="op\n"):
        DiffRevisionsResponse.model_validate({"op": op, "path": "/a"})
