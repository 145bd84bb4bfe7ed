from types import SimpleNamespace

import pytest
from fastapi import Request

from wire.prefer import wait_seconds

LONGEST = 60


def waits(*lines: str) -> int | None:
    """What a request with these lines of Prefer gets where MAX_WAIT_SECONDS is 60."""
    settings = SimpleNamespace(max_wait_seconds=LONGEST)
    app = SimpleNamespace(state=SimpleNamespace(settings=settings))
    return wait_seconds(Request({"type": "http", "app": app}), list(lines))


@pytest.mark.parametrize(
    "line",
    [
        *("wait=5", "WAIT=5", " wait\t= 5 ", 'wait="5"', "wait=05", "wait=5;", 'wait=5; a="b;c,d"'),
        *("respond-async, wait=5", "respond-async,wait=5,return=minimal", ",, wait=5,"),
        *('foo="a, wait=9", wait=5', r'foo="\", wait=9", wait=5', r'foo="\\", wait=5, bar="'),
        *("foo; wait=9, wait=5", "foo=; a=b, wait=5", "waiting=9, wait=5", "wait=5, wait=9"),
        *('wait=5, foo="a', '"a" "b", wait=5'),
    ],
)
def test_the_first_preference_named_wait_counts(line: str) -> None:
    assert waits(line) == 5


def test_the_lines_of_the_header_are_one_list() -> None:
    assert waits("respond-async", "wait=5", "wait=9") == 5
    assert waits('foo="a', 'b", wait=5') == 5


@pytest.mark.parametrize(
    "line",
    [
        *("", ",", "wait", "wait=", "wait=a", "wait=-5", "wait=+5", "wait=5.5", "wait=5s"),
        *('wait="5', 'wait=5"', "wait='5'", 'wait="5;"', 'wait="5, "', "wait=5 6", "wait==5"),
        *("wait=\u0665", "wait=\xb2", "wait=" + "9" * 10, 'wait=""', 'wait="\\5"'),
        *("foo; wait=5", 'foo="wait=5"', 'foo="a, wait=5"', 'foo="a, wait=5', "wait:5", "await=5"),
        *("wait=a, wait=5", "wait, wait=5", "\xa0wait=5", 'foo="a\\", wait=5'),
    ],
)
def test_what_is_not_understood_counts_as_not_given(line: str) -> None:
    assert waits(line) is None


def test_a_request_that_prefers_nothing_does_not_wait() -> None:
    assert waits() is None


@pytest.mark.parametrize(("preferred", "seconds"), [(0, 0), (59, 59), (60, 60), (61, 60)])
def test_a_wait_is_no_longer_than_the_service_allows(preferred: int, seconds: int) -> None:
    assert waits(f"wait={preferred}") == seconds
    assert waits("wait=" + "9" * 9) == LONGEST
