import asyncio
import json
from collections.abc import Coroutine
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

import database
from conftest import Repositories, Tables
from features.configurations.get import repository

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
LARGE = json.dumps({sha256(b"%d" % n).hexdigest(): n for n in range(4000)})  # does not compress
MEDIUM = json.dumps({sha256(b"%d" % n).hexdigest(): n for n in range(500)})
LONG = json.dumps({"a": "x" * 150_000})  # stored in less than 2,000 bytes, because it compresses
WIDE = f'{{"a": [{", ".join(["1e308"] * 3000)}]}}'  # stored in 1,000 bytes, printed in 930,000


def test_the_body_is_the_configuration_to_the_last_digit(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    configuration = tables.configuration(owner, config='{"rate": 1.10}')
    assert run(repository.get(configuration, None)) == {
        "id": configuration,
        "revision": 1,
        "body": f'{{"id":"{configuration}","application_id":"{owner}","name":"production",'
        '"comments":null,"config":{"rate": 1.10}}',
    }


@pytest.mark.parametrize("config", ["{}", LARGE], ids=["small", "large"])
def test_a_body_that_is_known_is_left_out(run: Repositories, tables: Tables, config: str) -> None:
    configuration = tables.configuration(tables.application(), config=config)
    assert run(repository.get(configuration, 1)) == {
        "id": configuration,
        "revision": 1,
        "body": None,
    }
    assert json.loads(run(repository.get(configuration, 2))["body"])["config"] == json.loads(config)


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(repository.NotFound):
        run(repository.get(NOWHERE, None))
    with pytest.raises(repository.NotFound):
        run(repository.get(configuration, None), confined_to="other")
    assert run(repository.get(configuration, None), confined_to="billing")["id"] == configuration


def exactly(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


class Batch:
    """In the place of `database.read_batched`: all calls become one batch, and then `meanwhile`
    happens."""

    def __init__(self, size: int, meanwhile: Coroutine[Any, Any, Any] | None = None) -> None:
        self.size, self.meanwhile = size, meanwhile
        self.values: list[database.Values] = []
        self.rows = asyncio.Future[list[database.Row]]()

    async def read(self, sql: str, values: database.Values) -> database.Row | None:
        """The row of `values`, once so many have asked."""
        self.values.append(values)
        if len(self.values) == self.size:
            lists = {name: [one[name] for one in self.values] for name in values}
            rows = await database.read(sql, lists)
            if self.meanwhile:
                await self.meanwhile
            self.rows.set_result(rows)
        return next((row for row in await self.rows if row["id"] == values["id"]), None)


def batch(
    run: Repositories,
    monkeypatch: pytest.MonkeyPatch,
    asked: list[tuple[str, int | None]],
    meanwhile: Coroutine[Any, Any, Any] | None = None,
) -> tuple[list[Any], int]:
    """What `get` returns or raises for each, asked in one batch; how many were then read alone and
    in turn."""
    alone = 0

    async def gather() -> list[Any]:
        nonlocal alone
        gathered = Batch(len(asked), meanwhile)
        read = database.read

        async def counted(
            sql: str, values: database.Values, *, in_turn: bool = False
        ) -> list[database.Row]:
            nonlocal alone
            alone += in_turn and len(values["id"]) == 1
            return await read(sql, values, in_turn=in_turn)

        monkeypatch.setattr(database, "read_batched", gathered.read)
        monkeypatch.setattr(database, "read", counted)
        gets = (repository.get(configuration, known) for configuration, known in asked)
        return await asyncio.gather(*gets, return_exceptions=True)

    return run(gather()), alone


@pytest.mark.parametrize("config", [LARGE, LONG, WIDE], ids=["large", "long", "wide"])
def test_each_of_a_batch_gets_its_own_and_a_large_document_is_read_alone(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    owner = tables.application()
    small, known = tables.configuration(owner, "a", '{"a": 1}'), tables.configuration(owner, "b")
    large, other = (tables.configuration(owner, name, config) for name in "cd")
    asked = [(small, None), (known, 1), (large, None), (other, 1), (NOWHERE, None)]
    found, alone = batch(run, monkeypatch, asked)
    assert alone == 1
    assert isinstance(found.pop(), repository.NotFound)
    bodies = [row["body"] and exactly(row["body"])["config"] for row in found]
    assert bodies == [{"a": 1}, None, exactly(config), None]


def test_a_document_of_medium_size_stays_in_the_batch(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = tables.application()
    one, other = (tables.configuration(owner, name, MEDIUM) for name in "ab")
    found, alone = batch(run, monkeypatch, [(one, None), (other, None)])
    assert alone == 0
    assert [json.loads(row["body"])["config"] for row in found] == [json.loads(MEDIUM)] * 2


def test_a_large_document_that_changes_after_the_batch_is_the_newer_one(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = tables.application()
    large, other = tables.configuration(owner, "a", LARGE), tables.configuration(owner, "b")
    change = database.write("update configurations set config = '{}' where name = 'a'")
    [row, _], _ = batch(run, monkeypatch, [(large, None), (other, None)], change)
    assert (row["revision"], json.loads(row["body"])["config"]) == (2, {})


def test_a_large_document_that_goes_after_the_batch_is_not_found(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = tables.application()
    large, other = tables.configuration(owner, "a", LARGE), tables.configuration(owner, "b")
    deletion = database.write("delete from configurations where name = 'a'")
    [missing, row], _ = batch(run, monkeypatch, [(large, None), (other, None)], deletion)
    assert isinstance(missing, repository.NotFound)
    assert row["id"] == other
