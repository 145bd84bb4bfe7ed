import asyncio

import pytest

from conftest import Listener
from features.applications.get import repository


def test_one_select_reads_the_row_of_that_id_and_its_configurations(listener: Listener) -> None:
    listener.rows = [{"id": "A", "name": "billing", "comments": None, "configuration_ids": []}]
    assert asyncio.run(repository.get("A")) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "read"
    assert "(%(confined_to)s::text is null or id = confinement(%(confined_to)s))" in sql
    assert sql.startswith("select id, name, comments, revision, array( ")
    assert "where application_id = applications.id order by configurations.id" in sql
    assert " as configuration_ids from applications where id = %(id)s" in sql
    assert values == {"id": "A"}


def test_no_row_is_not_found(listener: Listener) -> None:
    listener.rows = []
    with pytest.raises(repository.NotFound):
        asyncio.run(repository.get("A"))
