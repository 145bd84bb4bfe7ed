import asyncio

import pytest

from conftest import Listener
from features.configurations.delete import repository


def test_one_delete_takes_the_row_of_that_id(listener: Listener) -> None:
    listener.rows = [{"id": "C"}]
    asyncio.run(repository.delete("C"))
    assert listener.statements == [
        ("write", "delete from configurations where id = %(id)s returning id", {"id": "C"})
    ]


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.delete("C"))
