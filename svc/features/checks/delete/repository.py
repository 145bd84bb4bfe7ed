from dataclasses import dataclass

import database


class NotFound(Exception):
    """There is no such check."""


@dataclass
class PreconditionFailed(Exception):
    """The check is at `revision`, which is none of those that it may be at."""

    revision: int


async def delete(id: str, revisions: list[int] | None) -> int:
    """Deletes the check, and returns the revision that it was at.

    `revisions` are those it may be at, or None for any. Raises NotFound or PreconditionFailed.
    """
    rows = await database.write(
        """
        with locked as (
            select checks.id, checks.revision from checks
            where checks.id = %(id)s
            and (%(confined_to)s::text is null
                or checks.application_id = confinement(%(confined_to)s))
            for update
        ), deleted as (
            delete from checks using locked
            where checks.id = locked.id
            and (%(revisions)s::bigint[] is null or locked.revision = any(%(revisions)s))
            returning checks.id
        )
        select locked.revision, exists (select from deleted) as is_deleted from locked
        """,
        {"id": id, "revisions": revisions},
    )
    if not rows:
        raise NotFound
    found: int = rows[0]["revision"]
    if not rows[0]["is_deleted"]:
        raise PreconditionFailed(found)
    return found
