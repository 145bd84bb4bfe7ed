import asyncio

import pytest

from conftest import Listener
from features.delivery.config import repository


def merge(*, explain: bool = False) -> object:
    return asyncio.run(repository.merge("billing", ["defaults", "eu"], ["eu"], explain=explain))


@pytest.mark.parametrize("explain", [False, True])
def test_one_select_merges_the_layers_in_their_order(listener: Listener, explain: bool) -> None:
    listener.rows = [{"application_id": "A", "opaque": "abc", "missing": None, "body": "{}"}]
    assert merge(explain=explain) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert "unnest(%(names)s::text[]) with ordinality as wanted (name, position)" in sql
    assert "merge_layers(config order by position)" in sql
    assert "where applications.name = %(application)s" in sql
    assert "name <> all(%(optional)s::text[])" in sql
    assert values == {
        "application": "billing",
        "names": ["defaults", "eu"],
        "optional": ["eu"],
        "explain": explain,
    }


def test_no_row_is_no_such_application(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NoSuchApplication):
        merge()


def test_a_layer_that_is_missing_is_named(listener: Listener) -> None:
    listener.rows = [{"application_id": "A", "opaque": "abc", "missing": "eu", "body": "{}"}]
    with pytest.raises(repository.NoSuchLayer) as raised:
        merge()
    assert raised.value.args == ("eu",)
