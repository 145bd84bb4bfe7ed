import asyncio

import pytest

from conftest import Listener
from features.history.diff import repository


def test_one_select_compares_the_two_revisions(listener: Listener) -> None:
    listener.rows = [{"source": True, "target": True, "patch": '[{"value": 1.10}]'}]
    assert asyncio.run(repository.diff("C", 3, 7)) == '[{"value": 1.10}]'
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert "where configuration_id = %(id)s" in sql
    assert "json_patch(source, target)" in sql
    assert values == {"id": "C", "source": 3, "target": 7}


@pytest.mark.parametrize(
    ("source", "target", "missing"), [(False, True, 3), (True, False, 7), (False, False, 3)]
)
def test_the_first_revision_that_is_missing_is_named(
    listener: Listener, source: bool, target: bool, missing: int
) -> None:
    listener.rows = [{"source": source, "target": target, "patch": None}]
    with pytest.raises(repository.NotFound) as raised:
        asyncio.run(repository.diff("C", 3, 7))
    assert raised.value.args == (missing,)
