from dataclasses import dataclass

import database


class NotFound(Exception):
    """There is no such configuration."""


@dataclass
class PreconditionFailed(Exception):
    """The configuration is at `revision`, which is none of those that it may be at."""

    revision: int


async def delete(id: str, revisions: list[int] | None) -> None:
    """Deletes the configuration.

    `revisions` are those it may be at, or None for any. Raises NotFound or PreconditionFailed.
    """
    rows = await database.write(
        """
        with locked as (
            select revision from configurations where id = %(id)s
            and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
            for update
        ), deleted as (
            delete from configurations using locked
            where configurations.id = %(id)s
            and (%(revisions)s::bigint[] is null or locked.revision = any(%(revisions)s))
            returning configurations.id
        )
        select locked.revision, exists (select from deleted) as deleted from locked
        """,
        {"id": id, "revisions": revisions},
    )
    if not rows:
        raise NotFound
    if not rows[0]["deleted"]:
        raise PreconditionFailed(rows[0]["revision"])
