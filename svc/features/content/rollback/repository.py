from dataclasses import dataclass

from psycopg2 import IntegrityError

import database

# All configurations of an application change, are recorded and compared in one statement.
TIMEOUTS = 6


class NotFound(Exception):
    """There is no such application."""


class InFuture(Exception):
    """The sequence is yet to come."""


class Trimmed(Exception):
    """History does not have all of it any more."""


@dataclass
class PreconditionFailed(Exception):
    """The last change is `sequence`, which is none of those that it may be."""

    sequence: int


@dataclass
class TooLarge(Exception):
    """The configurations of these `names` would be larger than a body may be; at most 20. None
    is named where only all of them together are too large."""

    names: list[str]


@dataclass
class OtherDeletions(Exception):
    """This `number` of configurations would be deleted, and not as many as said; `names` has the
    first of them, at most 20."""

    number: int
    names: list[str]


async def rollback(
    id: str, sequence: int, deletes: int, sequences: list[int] | None
) -> database.Row:
    """Makes the configurations of the application what they were with its change `sequence`: later
    ones are deleted, and there have to be exactly `deletes` of them. All of that, or nothing.

    `sequences` are those that the last change may have, or None for any. Returns the `previous` and
    the present `sequence`, and as `body` what was done, as JSON text. Raises NotFound, InFuture,
    Trimmed, PreconditionFailed, TooLarge or OtherDeletions.
    """
    try:
        rows = await database.write(
            """
            select rolled.* from applications cross join lateral rollback_content(
                applications.id, %(sequence)s, %(sequences)s::bigint[], %(deletes)s
            ) as rolled
            where applications.id = %(id)s
            and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
            """,
            {"id": id, "sequence": sequence, "sequences": sequences, "deletes": deletes},
            timeouts=TIMEOUTS,
        )
    except IntegrityError as error:
        match error.diag.constraint_name:
            case "content_sequence":
                raise PreconditionFailed(database.told(error)["previous"]) from None
            case "content_fits":
                raise TooLarge([]) from None
            case "configurations_config_fits":
                raise TooLarge(database.told(error)["names"]) from None
            case "content_deletions":
                told = database.told(error)
                raise OtherDeletions(told["number"], told["names"] or []) from None
            case "configurations_application_id_fkey":
                raise NotFound from None
        raise
    if not rows:
        raise NotFound
    match rows[0]["obstacle"]:
        case "future":
            raise InFuture
        case "trimmed":
            raise Trimmed
    return rows[0]
