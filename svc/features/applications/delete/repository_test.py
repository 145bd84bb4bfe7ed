import asyncio

import pytest

from conftest import Listener
from features.applications.delete import repository


def test_one_delete_takes_the_row_of_that_id(listener: Listener) -> None:
    listener.rows = [{"id": "A"}]
    asyncio.run(repository.delete("A"))
    assert listener.statements == [
        ("write", "delete from applications where id = %(id)s returning id", {"id": "A"})
    ]


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.delete("A"))
