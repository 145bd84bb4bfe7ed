"""Remembers answers, so that PostgreSQL need only say that one still holds, and not print it again.

Nothing of this can be stale: each read asks PostgreSQL for the `tag` of the answer as it is now.
"""

import asyncio
import sys
from collections import OrderedDict
from typing import NamedTuple

from postgres.background import Metrics
from postgres.batching import Batcher, Statement
from postgres.connections import Row, Values
from postgres.pool import Pool

LARGE = 100_000  # characters of a body that take the event loop long to encode and to send
ENTRY_BYTES = 1_000  # what an answer takes beside its text and that of its question, at most

type Question = tuple[object, ...]


class Answer(NamedTuple):
    """The `body` that was answered with this `tag`; with its question it takes `size` bytes."""

    tag: object
    body: str
    size: int


class Memory:
    """Batched reads, and those of their answers that were used last: so many bytes at most."""

    def __init__(self, reads: Batcher, pool: Pool, most_bytes: int, metrics: Metrics) -> None:
        self._reads, self._pool, self._metrics = reads, pool, metrics
        self._most_bytes, self._bytes = most_bytes, 0
        self._answers = OrderedDict[Question, Answer]()
        self._one_large = asyncio.Lock()

    async def read(self, statement: Statement, values: Values) -> Row | None:
        """The row whose `id` is that of `values`, with its `body`.

        The statement leaves the body out where the row's `tag` is the one that is `known`. From a
        batch of several it may also leave it out for its size: then the row is read alone, and in
        its turn.
        """
        question = (statement.sql, statement.confined_to, *values.values())
        remembered = self._answers.get(question)
        given = {**values, "known": remembered and remembered.tag}
        loop = asyncio.get_running_loop()
        began = loop.time()
        row = await self._reads.ask(statement, given)
        if row is None:
            return None
        if complete := self._complete(question, remembered, row):
            if len(complete["body"]) > LARGE:
                async with self._one_large:  # others are served before the next one is sent
                    await asyncio.sleep(0)
            return complete
        # By now it may have changed or gone.
        alone, spent = statement.in_lists([given]), loop.time() - began
        rows = await self._pool.read(statement.sql, alone, spent, in_turn=True)
        return self._complete(question, remembered, rows[0]) if rows else None

    def _complete(self, question: Question, remembered: Answer | None, row: Row) -> Row | None:
        """The row with its body, which is the remembered one where that has its tag; None where it
        was left out for its size."""
        if row["body"] is not None:
            self._remember(question, row["tag"], row["body"])
            return row
        if remembered is None or remembered.tag != row["tag"]:
            return None
        if question in self._answers:
            self._answers.move_to_end(question)
        self._metrics.add("answers_reused_total")
        return {**row, "body": remembered.body}

    def _remember(self, question: Question, tag: object, body: str) -> None:
        _, *own = question  # but for the statement's text, which all questions share
        size = sum(map(sys.getsizeof, (*own, tag, body)), ENTRY_BYTES)
        if size > self._most_bytes:  # it would drive out all others
            return
        before = self._answers.pop(question, None)
        change = size - (before.size if before else 0)
        self._answers[question] = Answer(tag, body, size)
        while self._bytes + change > self._most_bytes:
            _, oldest = self._answers.popitem(last=False)
            change -= oldest.size
        self._bytes += change
        self._metrics.add("answers_remembered_bytes", amount=change)
