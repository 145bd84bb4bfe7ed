from dataclasses import dataclass

import database


class NotFound(Exception):
    """There is no such configuration."""


@dataclass
class PreconditionFailed(Exception):
    """The configuration is at `revision`, which is none of those that it may be at."""

    revision: int


async def delete(id: str, revisions: list[int] | None) -> int:
    """Deletes the configuration, and returns the revision that it was at.

    `revisions` are those it may be at, or None for any. Raises NotFound or PreconditionFailed.
    """
    # In a batch each value becomes a list, and PostgreSQL has no lists of lists of unequal length:
    # so the revisions go as the text of an array, such as {3,4}.
    allowed = None if revisions is None else f"{{{','.join(map(str, revisions))}}}"
    row = await database.write_batched(
        """
        with wanted as (
            select * from unnest(%(id)s::text[], %(revisions)s::text[]) as wanted (id, revisions)
        ), locked as (
            select configurations.id, configurations.revision, wanted.revisions
            from wanted join configurations on configurations.id = wanted.id
            where %(confined_to)s::text is null
            or configurations.application_id = (select confinement(%(confined_to)s))
            -- In this order, so that two such statements cannot wait for each other.
            order by configurations.id
            for update of configurations
        ), deleted as (
            delete from configurations using locked
            where configurations.id = locked.id
            and (locked.revisions is null or locked.revision = any(locked.revisions::bigint[]))
            returning configurations.id
        )
        select locked.id, locked.revision as found, deleted.id is not null as is_deleted
        from locked left join deleted on deleted.id = locked.id
        """,
        {"id": id, "revisions": allowed},
    )
    if row is None:
        raise NotFound
    found: int = row["found"]
    if not row["is_deleted"]:
        raise PreconditionFailed(found)
    return found
