import asyncio
import re

import pytest
from psycopg2.errors import UniqueViolation

from conftest import Listener, violation
from features.applications.create import repository


def test_one_insert_makes_the_row_with_a_fresh_id(listener: Listener) -> None:
    listener.rows = [{"id": "…", "name": "billing", "comments": "ours"}]
    assert asyncio.run(repository.create("billing", "ours")) is listener.rows[0]
    [(kind, sql, values)] = listener.statements
    assert kind == "write"
    assert sql == (
        "insert into applications (id, name, comments) "
        "values (%(id)s, %(name)s, %(comments)s) returning id, name, comments"
    )
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", values["id"])
    assert {**values, "id": None} == {"id": None, "name": "billing", "comments": "ours"}


def test_every_row_has_an_id_of_its_own(listener: Listener) -> None:
    listener.rows = [{}]
    for _ in range(2):
        asyncio.run(repository.create("billing", None))
    assert len({values["id"] for _, _, values in listener.statements}) == 2


def test_the_unique_name_is_taken(listener: Listener) -> None:
    listener.error = violation(UniqueViolation, "applications_name_key")
    with pytest.raises(repository.NameTaken):
        asyncio.run(repository.create("billing", None))


def test_another_constraint_passes_untouched(listener: Listener) -> None:
    listener.error = violation(UniqueViolation, "applications_pkey")
    with pytest.raises(UniqueViolation) as raised:
        asyncio.run(repository.create("billing", None))
    assert raised.value is listener.error
