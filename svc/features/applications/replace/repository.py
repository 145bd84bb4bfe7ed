from dataclasses import dataclass

from psycopg2.errors import UniqueViolation

import database


class NotFound(Exception):
    """There is no such application."""


@dataclass
class PreconditionFailed(Exception):
    """The application is at `revision`, which is none of those that it may be at."""

    revision: int


class NameTaken(Exception):
    """Another application has this name."""


async def replace(
    id: str, name: str, comments: str | None, revisions: list[int] | None
) -> database.Row:
    """The row as it is now: `id`, `name`, `comments`, `revision`.

    `revisions` are those it may be at, or None for any. Raises NotFound, PreconditionFailed or
    NameTaken.
    """
    try:
        rows = await database.write(
            """
            with locked as (
                select revision from applications where id = %(id)s
                and (%(confined_to)s::text is null or id = confinement(%(confined_to)s))
                for no key update
            ), updated as (
                update applications set name = %(name)s, comments = %(comments)s
                from locked
                where applications.id = %(id)s
                and (%(revisions)s::bigint[] is null or locked.revision = any(%(revisions)s))
                returning applications.*
            )
            select updated.id, updated.name, updated.comments, updated.revision,
                locked.revision as found
            from locked left join updated on true
            """,
            {"id": id, "name": name, "comments": comments, "revisions": revisions},
        )
    except UniqueViolation as error:
        if error.diag.constraint_name == "applications_name_key":
            raise NameTaken from None
        raise
    if not rows:
        raise NotFound
    if rows[0]["id"] is None:
        raise PreconditionFailed(rows[0]["found"])
    return rows[0]
