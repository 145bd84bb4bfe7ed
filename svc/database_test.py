import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from psycopg2.errors import UniqueViolation
from psycopg2.extensions import connection

import database
from config import Settings
from database import Caller, Overloaded, Row, Unavailable
from wire.changes import Change
from wire.types import new_ulid

pytestmark = pytest.mark.anyio

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
ALONE = """
    select %(confined_to)s::text as confined_to,
        nullif(current_setting('config_service.actor', true), '') as actor,
        nullif(current_setting('config_service.note', true), '') as note
"""
BATCHED = ALONE + ", id, '' as tag, '' as body from unnest(%(id)s::text[]) as asked (id)"


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of tests that are coroutines."""
    return "asyncio"


class Uncounted:
    """In the place of the metrics."""

    def add(self, name: str, labels: object = (), amount: float = 1) -> None:
        pass

    def observe(self, name: str, value: float) -> None:
        pass


@asynccontextmanager
async def opened(
    dsn: str,
    caller: Callable[[], Caller] = Caller,
    change: Callable[[], Change] = Change,
    **given: Any,
) -> AsyncIterator[None]:
    settings = Settings(**{"_env_file": None, "database_url": dsn, **given})
    async with database.opened(settings, caller, change, Uncounted()):
        yield


async def alone(ask: Callable[[str], Awaitable[list[Row]]]) -> Row:
    [row] = await ask(ALONE)
    return row


@pytest.mark.parametrize(
    ("ask", "actor"),
    [
        (lambda: alone(database.read), None),
        (lambda: alone(database.write), "alice"),
        (lambda: database.read_batched(BATCHED, {"id": ID}), None),
        (lambda: database.write_batched(BATCHED, {"id": ID}), "alice"),
    ],
)
async def test_each_statement_knows_what_its_caller_is_confined_to_and_each_write_its_actor(
    dsn: str, ask: Callable[[], Awaitable[Row]], actor: str | None
) -> None:
    callers = [Caller(), Caller("alice", "billing"), Caller("alice")]
    now = iter(callers)
    caller = Caller()
    async with opened(dsn, lambda: caller):
        for caller in now:
            row = await ask()
            assert row["confined_to"] == caller.confined_to == database.confined_to()
            assert row["actor"] == (actor if caller.actor != "anonymous" else None)


WRITES = [
    lambda: alone(database.write),
    lambda: database.write_batched(BATCHED, {"id": ID}),
]


@pytest.mark.parametrize("write", WRITES)
async def test_each_write_says_why_whether_it_is_tried_or_made(
    dsn: str, write: Callable[[], Awaitable[Row]]
) -> None:
    change = Change()
    async with opened(dsn, lambda: Caller("alice"), lambda: change):
        for change in (Change("why"), Change(), Change("try", dry_run=True), Change("50 % off")):
            row = await write()
            assert (row["note"] or "", row["actor"]) == (change.note, "alice")
        assert (await alone(database.read))["note"] is None


MADE = """
    insert into applications (id, name)
    select id, name from unnest(%(id)s::text[], %(name)s::text[]) as made (id, name)
    returning id, name
"""


async def test_what_is_only_tried_answers_alike_and_changes_nothing(
    dsn: str, db: connection
) -> None:
    change = Change(dry_run=True)
    values = {"id": ID, "name": "billing"}
    async with opened(dsn, change=lambda: change):
        assert await database.write_batched(MADE, values) == values
        assert await database.write(MADE, {"id": [ID], "name": ["billing"]}) == [values]
        assert await name() is None
        change = Change()
        assert await database.write_batched(MADE, values) == values
        change = Change(dry_run=True)
        with pytest.raises(UniqueViolation):
            await database.write_batched(MADE, values)
        assert await name() == "billing"


async def test_what_is_only_tried_undoes_nothing_of_those_that_ask_at_the_same_time(
    dsn: str, db: connection
) -> None:
    tried = ContextVar("tried", default=False)
    names = [f"{kind} {n}" for n in range(20) for kind in ("tried", "made")]

    async def make(name: str) -> Row | None:
        tried.set(name.startswith("tried"))
        return await database.write_batched(MADE, {"id": new_ulid(), "name": name})

    async with opened(dsn, change=lambda: Change(dry_run=tried.get())):
        rows = await asyncio.gather(*map(make, names))
        assert [row and row["name"] for row in rows] == names
        found = await database.read("select name from applications")
    assert {row["name"] for row in found} == {name for name in names if name.startswith("made")}


async def test_values_of_the_slice_are_bound_beside_those_of_the_caller(dsn: str) -> None:
    async with opened(dsn):
        assert await database.read("select %(n)s as n", {"n": 1}) == [{"n": 1}]
        assert await database.write("select %(n)s as n", {"n": 2}) == [{"n": 2}]


async def test_a_batched_statement_answers_the_row_of_its_id_or_none(dsn: str) -> None:
    sql = BATCHED + " where id = 'there'"
    async with opened(dsn):
        for ask in (database.read_batched, database.write_batched):
            found = await asyncio.gather(*(ask(sql, {"id": id}) for id in ("there", "not there")))  # noqa: A001
            assert [row and row["id"] for row in found] == ["there", None]


async def name() -> str | None:
    rows = await database.read("select name from applications where id = %(id)s", {"id": ID})
    return rows[0]["name"] if rows else None


async def test_a_wait_ends_with_the_change_that_it_waits_for(dsn: str, db: connection) -> None:
    async with opened(dsn):
        looks, waits = list[str | None](), asyncio.Event()

        async def look() -> str | None:
            looks.append(await name())
            if len(looks) == 2:
                waits.set()
            return looks[-1]

        done = {"b"}.__contains__
        waiting = asyncio.create_task(database.wait(look, done, 60, lambda _: ID))
        await asyncio.wait_for(waits.wait(), 20)
        for value in ("a", "b"):
            await database.write(
                "insert into applications (id, name) values (%(id)s, %(name)s)"
                " on conflict (id) do update set name = excluded.name",
                {"id": ID, "name": value},
            )
        assert await asyncio.wait_for(waiting, 20) == "b"
        assert looks[:2] == [None, None]


async def test_no_more_wait_than_the_settings_allow(dsn: str) -> None:
    async with opened(dsn, max_watchers=0):
        with pytest.raises(Overloaded):
            await database.wait(name, bool, 60, lambda _: ID)


async def test_when_the_service_stops_nobody_waits_any_more(dsn: str) -> None:
    database.stop_waiting()  # without a database there is nobody
    async with opened(dsn):
        waiting = asyncio.create_task(database.wait(name, bool, 60, lambda _: ID))
        await asyncio.sleep(0)
        database.stop_waiting()
        assert await asyncio.wait_for(waiting, 20) is None


async def test_before_and_after_its_time_the_database_is_unavailable(dsn: str) -> None:
    asks: list[Callable[[], Awaitable[object]]] = [
        lambda: database.read("select"),
        lambda: database.write("select"),
        lambda: database.read_batched("select", {"id": ID}),
        lambda: database.write_batched("select", {"id": ID}),
        lambda: database.wait(name, bool, 60, lambda _: ID),
    ]
    for _ in range(2):
        for ask in asks:
            with pytest.raises(Unavailable):
                await ask()
        with pytest.raises(LookupError):  # noqa: PT012 - the time of the database ends by it
            async with opened(dsn):
                assert await database.read("select 1 as one") == [{"one": 1}]
                raise LookupError
