import psycopg2
import pytest

from postgres.errors import (
    OutcomeUnknown,
    Retriable,
    Unavailable,
    Unmigrated,
    ValueRefused,
    is_lost,
    meaning,
)


def failure(code: str | None) -> psycopg2.Error:
    """psycopg2's error of this SQLSTATE."""
    error: psycopg2.Error = type("Failed", (psycopg2.DatabaseError,), {"pgcode": code})(
        "text of the server"
    )
    return error


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ("40001 40P01 25006", Retriable),
        ("57014 55P03 53100 53200 53300", Unavailable),
        ("22P02 22P05 22001 22003 22021 54000 54001", ValueRefused),
        ("42P01 42703 42883", Unmigrated),
    ],
)
def test_a_sqlstate_means_the_same_to_every_caller(codes: str, told: type[Exception]) -> None:
    for code in codes.split():
        found = meaning(failure(code))
        assert type(found) is told
        assert "text of the server" not in str(found)


@pytest.mark.parametrize("code", ["23503", "23505", "22012", "42601", "XX000", None])
def test_what_says_something_about_the_statement_is_told_as_it_is(code: str | None) -> None:
    error = failure(code)
    assert meaning(error) is error


def test_the_server_ends_a_connection_by_the_classes_08_and_57p() -> None:
    codes = ["08000", "08006", "57P01", "57P03", "57014", "23505", None]
    assert [is_lost(failure(code)) for code in codes] == [True] * 4 + [False] * 3


def test_an_unknown_outcome_says_that_it_is_unknown_and_counts_as_unavailable() -> None:
    assert "unknown" in str(OutcomeUnknown())
    assert isinstance(OutcomeUnknown(), Unavailable)
