import asyncio

import pytest

from conftest import Listener
from features.history.list import repository


@pytest.mark.parametrize("before", [None, 7])
def test_one_select_reads_a_page_from_the_newest_on(listener: Listener, before: int | None) -> None:
    listener.rows = [{"revision": 6}, {"revision": 5}]
    assert asyncio.run(repository.list_before("C", before, 3)) == listener.rows
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert "(%(before)s::bigint is null or revision < %(before)s)" in sql
    assert "order by revision desc limit %(limit)s" in sql
    assert values == {"id": "C", "before": before, "limit": 3}


def test_a_known_configuration_without_older_revisions_has_an_empty_page(
    listener: Listener,
) -> None:
    listener.rows = [{"revision": None, "action": None}]
    assert asyncio.run(repository.list_before("C", 1, 3)) == []


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.list_before("C", None, 3))
