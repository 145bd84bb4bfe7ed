from dataclasses import dataclass

import database

# All configurations go with the application, and enter history, in one statement. PostgreSQL needs
# some 4 seconds for 200,000 of 1 KB: no other request changes so much at once.
TIMEOUTS = 6


class NotFound(Exception):
    """There is no such application."""


@dataclass
class PreconditionFailed(Exception):
    """The application is at `revision`, which is none of those that it may be at."""

    revision: int


async def delete(id: str, revisions: list[int] | None) -> int:
    """Deletes the application and, by its foreign key, its configurations; returns the revision
    that it was at.

    `revisions` are those it may be at, or None for any. Raises NotFound or PreconditionFailed.
    """
    rows = await database.write(
        """
        with locked as (
            select revision from applications where id = %(id)s
            and (%(confined_to)s::text is null or id = confinement(%(confined_to)s))
            for update
        ), deleted as (
            delete from applications using locked
            where applications.id = %(id)s
            and (%(revisions)s::bigint[] is null or locked.revision = any(%(revisions)s))
            returning applications.id
        )
        select locked.revision, exists (select from deleted) as deleted from locked
        """,
        {"id": id, "revisions": revisions},
        timeouts=TIMEOUTS,
    )
    if not rows:
        raise NotFound
    found: int = rows[0]["revision"]
    if not rows[0]["deleted"]:
        raise PreconditionFailed(found)
    return found
