import re
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from wire.moments import At, is_time, point

moment: TypeAdapter[str | None] = TypeAdapter(At)
NO_MOMENT = "a sequence, or a time such as 2026-01-02T03:04:05Z"


@pytest.mark.parametrize("text", ["0", "46", "007", "9" * 18])
def test_digits_are_a_sequence(text: str) -> None:
    assert moment.validate_python(text) == text
    assert not is_time(text)
    assert point(text) == {"sequence": int(text), "time": None}


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.1Z", datetime(2026, 1, 2, 3, 4, 5, 100_000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.000006Z", datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:30", datetime(2026, 1, 2, 0, 34, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05-23:59", datetime(2026, 1, 3, 3, 3, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_has_an_offset_and_up_to_six_digits_of_a_fraction(text: str, time: datetime) -> None:
    assert moment.validate_python(text) == text
    assert is_time(text)
    assert point(text) == {"sequence": None, "time": time}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1.0",
        "1" * 19,
        "\uff11",
        "46\n",
        "now",
        "2026-01-02",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05",
        "2026-01-02t03:04:05Z",
        "2026-01-02T03:04:05z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567Z",
        "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05Z\n",
        "2026-02-30T03:04:05Z",
        "2026-01-02T25:04:05Z",
        "2026-01-02T03:04:05+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=NO_MOMENT):
        moment.validate_python(text)


def test_a_plus_that_became_a_space_is_told() -> None:
    with pytest.raises(ValidationError, match="%2B"):
        moment.validate_python("2026-01-02T03:04:05 02:00")
    with pytest.raises(ValidationError, match=NO_MOMENT):
        moment.validate_python("2026-01-02 03:04:05 02:00")


def test_it_may_be_left_out() -> None:
    assert moment.validate_python(None) is None


def test_the_published_pattern_is_the_one_that_is_checked() -> None:
    pattern = moment.json_schema()["pattern"]
    for text in ("46", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5+02:00"):
        assert re.search(pattern, text)
    for text in ("46a", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05 02:00"):
        assert not re.search(pattern, text)
