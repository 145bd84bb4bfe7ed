import psycopg2
import pytest

from conftest import Tables
from postgres.errors import (
    CheckFailed,
    CheckInUse,
    CheckTooLong,
    OutcomeUnknown,
    Retriable,
    SchemaRefused,
    SchemaTooLarge,
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
        ("CS100", CheckTooLong),
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


@pytest.mark.parametrize(
    ("constraint", "detail", "told"),
    [
        (
            "checks_hold",
            '[{"check": "c", "pointer": "/a", "detail": "must be an integer"}]',
            CheckFailed([{"check": "c", "pointer": "/a", "detail": "must be an integer"}]),
        ),
        ("checks_in_use", '{"check": "c"}', CheckInUse("c")),
        (
            "checks_schema_supported",
            '[{"pointer": "/kind", "detail": "is unknown"}]',
            SchemaRefused([{"pointer": "/kind", "detail": "is unknown"}]),
        ),
    ],
)
def test_what_checks_have_against_a_change_is_told(
    tables: Tables, constraint: str, detail: str, told: Exception
) -> None:
    with pytest.raises(psycopg2.Error) as raised:
        tables.rows("select refuse_change(%s, %s)", constraint, detail)
    assert meaning(raised.value) == told


def test_a_schema_that_is_too_large_is_told_with_the_limit(tables: Tables) -> None:
    with pytest.raises(psycopg2.Error) as raised:
        tables.rows("select refuse_change('checks_schema_size', 'null')")
    found = meaning(raised.value)
    assert (type(found), "64 KiB" in str(found)) == (SchemaTooLarge, True)


def test_another_check_of_a_table_is_for_the_slice_to_tell(tables: Tables) -> None:
    with pytest.raises(psycopg2.Error) as raised:
        tables.rows("select refuse_change('checks_number', 'null')")
    assert meaning(raised.value) is raised.value


def test_the_server_ends_a_connection_by_the_classes_08_and_57p() -> None:
    codes = ["08000", "08006", "57P01", "57P03", "57014", "23505", None]
    assert [is_lost(failure(code)) for code in codes] == [True] * 4 + [False] * 3


def test_an_unknown_outcome_says_that_it_is_unknown_and_counts_as_unavailable() -> None:
    assert "unknown" in str(OutcomeUnknown())
    assert isinstance(OutcomeUnknown(), Unavailable)
