"""What an error of PostgreSQL means to the caller, by its SQLSTATE (PostgreSQL, appendix A)."""

import json
from dataclasses import dataclass
from typing import Any

import psycopg2

READ_ONLY = "25006"  # the server is a standby now
_LONG_CHECK = "CS100"  # our own: a check would take more steps than it may
_RETRIABLE = {"40001", "40P01", READ_ONLY}
_TOO_SLOW = {"57014", "55P03"}
_REFUSED_VALUE = {"22P02", "22P05", "22001", "22003", "22021", "54000", "54001"}
_UNDEFINED = {"42P01", "42703", "42883"}


class Unavailable(Exception):
    """The database cannot serve this now, and nothing was changed (503)."""


class Overloaded(Unavailable):
    """More is waiting for the database than the queue holds (503)."""


class Unmigrated(Unavailable):
    """A table, column or function is missing, unless the statement itself is wrong (503)."""


class OutcomeUnknown(Unavailable):
    """The connection was lost after a write was sent: it may have happened or not (503)."""

    def __init__(
        self,
        message: str = "The database did not confirm this change: whether it was made is unknown.",
    ) -> None:
        super().__init__(message)


class ValueRefused(Exception):
    """PostgreSQL cannot keep a value that was sent (400)."""


class ChangeRefused(Exception):
    """The checks of an application are against a change, and nothing was changed."""


@dataclass
class CheckFailed(ChangeRefused):
    """The documents would not be what checks want (409): for each fault the `check`, the `pointer`
    into the merged document, and as `detail` what the schema wants there."""

    faults: list[dict[str, str]]


@dataclass
class CheckInUse(ChangeRefused):
    """The configuration is the schema of `check`, and so cannot be deleted (409)."""

    check: str


@dataclass
class SchemaRefused(ChangeRefused):
    """The schema of a check has something that is not supported (400): for each fault the `pointer`
    into the schema and a `detail`."""

    faults: list[dict[str, str]]


class SchemaTooLarge(ChangeRefused):
    """The schema of a check would be larger than one may be (413)."""


class CheckTooLong(Unavailable):
    """A check takes more steps than it may (503)."""


class Retriable(Exception):
    """A second attempt may succeed, and nothing was changed."""


class Lost(Retriable):
    """The connection was lost, or what it answered cannot be read: a write may have happened."""


def is_lost(error: psycopg2.Error) -> bool:
    """Whether the server ended the connection: its class is 08, or it shuts down (57P)."""
    return (error.pgcode or "").startswith(("08", "57P"))


def meaning(error: psycopg2.Error) -> Exception:
    """What the caller is told of an `error` that left the connection open; the error itself where
    it says something about the statement, such as a violated constraint."""
    code = error.pgcode or ""
    if code in _RETRIABLE:
        return Retriable()
    if code in _TOO_SLOW:
        return Unavailable("The database took too long; nothing was changed.")
    if code in _REFUSED_VALUE:
        return ValueRefused("The database cannot keep a value of this request.")
    if code in _UNDEFINED:
        return Unmigrated("The database is not migrated: a migration is pending.")
    if code.startswith("53"):
        return Unavailable("The database is out of resources.")
    return _refusal(error)


def told(error: psycopg2.Error) -> Any:
    """What one of our functions said beside the constraint that it named: its detail is JSON."""
    return json.loads(error.diag.message_detail or "null")


def _refusal(error: psycopg2.Error) -> Exception:
    """What the checks of an application have against a change; otherwise the error itself."""
    if error.pgcode == _LONG_CHECK:
        return CheckTooLong("A check takes too long; nothing was changed.")
    match error.diag.constraint_name:
        case "checks_hold":
            return CheckFailed(told(error))
        case "checks_in_use":
            return CheckInUse(told(error)["check"])
        case "checks_schema_supported":
            return SchemaRefused(told(error))
        case "checks_schema_size":
            return SchemaTooLarge("The schema of a check has at most 64 KiB as it is printed.")
    return error
