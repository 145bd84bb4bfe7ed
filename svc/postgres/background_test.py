import asyncio
import gc
import random
from collections.abc import Callable
from contextvars import ContextVar

import psycopg2
import pytest

from postgres.background import Tasks, keep_running
from postgres.conftest import Counts, refuse_in_latin_1, settle, until
from postgres.errors import Unavailable

pytestmark = pytest.mark.anyio
FAILURES = "background_failures_total"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Between which bounds each pause was to be; none takes any time."""
    bounds = list[tuple[float, float]]()

    def pause(least: float, most: float) -> float:
        bounds.append((least, most))
        return 0

    monkeypatch.setattr(random, "uniform", pause)
    return bounds


async def after(counts: Counts, *ends: Callable[[], object]) -> None:
    """Keeps a work running until each of its `ends` has come; then it goes on."""
    left, again = list(ends), asyncio.Event()

    async def work() -> None:
        if left:
            left.pop(0)()
        else:
            again.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(keep_running("testing", work, counts))
    await asyncio.wait_for(again.wait(), 20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def raising(error: BaseException) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


async def test_work_that_ends_is_begun_again_after_a_pause(
    counts: Counts, pauses: list[tuple[float, float]]
) -> None:
    await after(counts, lambda: None, lambda: None)
    assert pauses == [(0.2, 1)] * 2
    assert counts.added == {}


@pytest.mark.parametrize("error", [psycopg2.OperationalError(), Unavailable(), TimeoutError()])
async def test_that_the_database_is_away_is_neither_logged_nor_counted(
    counts: Counts,
    pauses: list[tuple[float, float]],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    await after(counts, raising(error), raising(error))
    assert len(pauses) == 2
    assert counts.added == {}
    assert caplog.records == []


@pytest.mark.parametrize(
    "failure",
    [
        refuse_in_latin_1,
        raising(RuntimeError("can't start new thread")),
        # By something that the work waits for, and not by whoever stops the service.
        raising(asyncio.CancelledError()),
    ],
)
@pytest.mark.usefixtures("pauses")
async def test_whatever_else_is_raised_is_counted_each_time_and_logged_once_in_a_row(
    counts: Counts, caplog: pytest.LogCaptureFixture, failure: Callable[[], object]
) -> None:
    await after(counts, failure, failure, failure)
    assert counts.added == {(FAILURES, "testing"): 3}
    assert [record.message for record in caplog.records] == ["failed, and is tried again: testing"]
    away = raising(psycopg2.OperationalError())
    await after(counts, failure, away, failure, raising(KeyError()), failure)
    assert counts.added == {(FAILURES, "testing"): 7}
    assert len(caplog.records) == 5


@pytest.mark.usefixtures("pauses")
async def test_it_ends_when_it_is_cancelled_whatever_it_is_doing(counts: Counts) -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            counts.add("cleaned up")

    running = asyncio.create_task(keep_running("testing", work, counts))
    await settle()
    running.cancel()
    await until(running.done)
    assert running.cancelled()
    assert counts.added == {("cleaned up",): 1}


async def test_a_task_goes_on_in_no_context_of_a_request_and_may_fail_unheard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen, tasks, asked = list[str](), Tasks(), ContextVar("asked", default="nobody")

    async def work() -> None:
        seen.append(asked.get())
        raise LookupError

    asked.set("somebody")
    waiting = asyncio.ensure_future(asyncio.shield(tasks.start(work())))
    waiting.cancel()
    await tasks.ended()
    await settle()
    gc.collect()
    assert seen == ["nobody"]
    assert tasks == set()
    assert caplog.records == []
