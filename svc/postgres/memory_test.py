import asyncio
from itertools import pairwise

import pytest

from postgres.batching import Batcher, Statement
from postgres.conftest import Counts
from postgres.connections import Row, Values
from postgres.memory import ENTRY_BYTES, LARGE, Memory
from postgres.pool import Pool

ROOMY = 1024 * 1024


class Database(Batcher, Pool):
    """In the place of both ways to PostgreSQL: for each id a tag and a body, of which the batch
    leaves out what is longer than 10."""

    def __init__(self) -> None:
        self.answers = dict[str, tuple[object, str]]()
        self.printed = list[str]()
        self.alone = 0
        self.spent = 0.0

    def row(self, id: str, known: object, most: int) -> Row | None:
        """The row of an id, as PostgreSQL would make it."""
        if id not in self.answers:
            return None
        tag, body = self.answers[id]
        if tag == known or len(body) > most:
            return {"id": id, "tag": tag, "body": None}
        self.printed.append(body)
        return {"id": id, "tag": tag, "body": body}

    async def ask(self, statement: Statement, values: Values) -> Row | None:
        """The row of a batch."""
        return self.row(values["id"], values["known"], 10)

    async def read(
        self, sql: str, values: Values, spent: float = 0, *, in_turn: bool = False
    ) -> list[Row]:
        """The row of a batch of one."""
        self.alone += in_turn
        self.spent = spent
        row = self.row(values["id"][0], values["known"][0], 1_000_000)
        return [row] if row else []


@pytest.fixture
def database() -> Database:
    return Database()


def remember(database: Database, counts: Counts, most_bytes: int = ROOMY) -> Memory:
    return Memory(database, database, most_bytes, counts)


def read(memory: Memory, id: str, confined_to: str | None = None) -> str | None:
    row = asyncio.run(memory.read(Statement("select", confined_to, ""), {"id": id}))
    return str(row["body"]) if row else None


def test_an_answer_that_still_holds_is_not_printed_again(
    database: Database, counts: Counts
) -> None:
    memory = remember(database, counts)
    database.answers["a"] = 1, "one"
    assert [read(memory, "a"), read(memory, "a"), read(memory, "a")] == ["one"] * 3
    assert database.printed == ["one"]
    assert counts.added["answers_reused_total",] == 2


def test_an_answer_with_another_tag_is_the_new_one(database: Database, counts: Counts) -> None:
    memory = remember(database, counts)
    seen = []
    for tag, body in [(1, "one"), (2, "two"), (1, "one"), (2, "other")]:
        database.answers["a"] = tag, body
        seen.append(read(memory, "a"))
    assert seen == ["one", "two", "one", "other"]


def test_what_is_gone_is_not_answered_from_memory(database: Database, counts: Counts) -> None:
    memory = remember(database, counts)
    database.answers["a"] = 1, "one"
    assert read(memory, "a") == "one"
    del database.answers["a"]
    assert read(memory, "a") is None


def test_nobody_gets_what_another_was_allowed_to_see(database: Database, counts: Counts) -> None:
    memory = remember(database, counts)
    database.answers["a"] = 1, "one"
    assert read(memory, "a") == "one"
    assert read(memory, "a", confined_to="billing") == "one"
    assert database.printed == ["one", "one"]


def test_what_a_batch_leaves_out_is_read_alone_in_its_turn_and_remembered(
    database: Database, counts: Counts
) -> None:
    memory = remember(database, counts)
    database.answers["a"] = 1, "a large one"
    assert [read(memory, "a"), read(memory, "a")] == ["a large one"] * 2
    assert (database.printed, database.alone) == (["a large one"], 1)


def test_what_goes_before_it_is_read_alone_is_gone(database: Database, counts: Counts) -> None:
    class Fleeting(Database):
        async def ask(self, statement: Statement, values: Values) -> Row | None:
            row = await super().ask(statement, values)
            self.answers.clear()
            return row

    fleeting = Fleeting()
    fleeting.answers["a"] = 1, "a large one"
    assert read(remember(fleeting, counts), "a") is None


def test_what_was_used_least_is_forgotten_and_the_memory_stays_in_its_bounds(
    database: Database, counts: Counts
) -> None:
    memory = remember(database, counts, most_bytes=3 * (ENTRY_BYTES + 200))
    for one in "abcd":
        database.answers[one] = 1, one
        read(memory, one)
        read(memory, "a")
        assert counts.added["answers_remembered_bytes",] <= 3 * (ENTRY_BYTES + 200)
    database.printed.clear()
    for one in "acdb":
        read(memory, one)
    assert database.printed == ["b"]


def test_a_long_question_counts_too(database: Database, counts: Counts) -> None:
    memory = remember(database, counts)
    question = "a" * 100_000
    database.answers[question] = "t" * 50_000, "one"
    read(memory, question)
    assert counts.added["answers_remembered_bytes",] > 150_000


def test_what_is_larger_than_the_memory_is_not_remembered(
    database: Database, counts: Counts
) -> None:
    for most_bytes in (0, ENTRY_BYTES):
        memory = remember(database, counts, most_bytes)
        database.answers["a"] = 1, "one"
        database.printed.clear()
        assert [read(memory, "a"), read(memory, "a")] == ["one"] * 2
        assert database.printed == ["one"] * 2
        assert counts.added["answers_remembered_bytes",] == 0


def test_a_question_that_is_longer_than_its_answer_counts_too(
    database: Database, counts: Counts
) -> None:
    memory = remember(database, counts, most_bytes=100_000)
    long = ["a" * 60_000, "b" * 60_000]
    for one in long:
        database.answers[one] = 1, "one"
        read(memory, one)
    assert counts.added["answers_remembered_bytes",] > 60_000
    read(memory, long[0])
    assert database.printed == ["one"] * 3


def test_what_is_read_alone_has_the_time_that_the_batch_left(
    database: Database, counts: Counts
) -> None:
    class Slow(Database):
        async def ask(self, statement: Statement, values: Values) -> Row | None:
            loop = asyncio.get_running_loop()
            time = loop.time
            loop.time = lambda: time() + 3  # type: ignore[method-assign]
            return await super().ask(statement, values)

    slow = Slow()
    slow.answers["a"] = 1, "a large one"
    assert read(remember(slow, counts), "a") == "a large one"
    assert 3 <= slow.spent < 4


def test_large_answers_that_are_remembered_hold_up_nobody_else(
    database: Database, counts: Counts
) -> None:
    memory = remember(database, counts)
    database.answers["a"] = 1, "x" * (LARGE + 1)
    happened = list[str]()

    async def read_one() -> None:
        await memory.read(Statement("select", None, ""), {"id": "a"})
        happened.append("large")  # here it would be encoded and sent

    async def together() -> None:
        await read_one()
        readers = [asyncio.create_task(read_one()) for _ in range(10)]
        while not all(reader.done() for reader in readers):
            happened.append("others")
            await asyncio.sleep(0)

    asyncio.run(together())
    assert happened.count("large") == 11
    assert ("large", "large") not in pairwise(happened[1:])
