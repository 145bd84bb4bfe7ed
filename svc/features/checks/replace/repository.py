from dataclasses import dataclass

from psycopg2 import IntegrityError

import database


class NotFound(Exception):
    """There is no such check."""


class OtherApplication(Exception):
    """The check belongs to another application than the one given."""


@dataclass
class PreconditionFailed(Exception):
    """The check is at `revision`, which is none of those that it may be at."""

    revision: int


class NoSuchSchema(Exception):
    """`schema_id` names no configuration of this application."""


async def replace(
    id: str,
    application_id: str | None,
    schema_id: str,
    layers: list[str],
    optional: list[str],
    revisions: list[int] | None,
) -> database.Row:
    """The check as it is now, its `revision`, and the one before as `found`.

    `application_id` is the one it must belong to or None, `revisions` those it may be at, or None
    for any. Raises NotFound, OtherApplication, PreconditionFailed or NoSuchSchema.
    """
    try:
        rows = await database.write(
            """
            with locked as (
                select checks.id, checks.application_id, checks.revision from checks
                where checks.id = %(id)s
                and (%(confined_to)s::text is null
                    or checks.application_id = confinement(%(confined_to)s))
                for no key update
            ), updated as (
                update checks
                set schema_id = %(schema_id)s, layers = %(layers)s::text[],
                    optional = %(optional)s::text[]
                from locked
                where checks.id = locked.id
                and locked.application_id = coalesce(%(application_id)s, locked.application_id)
                and (%(revisions)s::bigint[] is null or locked.revision = any(%(revisions)s))
                returning checks.*
            )
            select
                locked.id, locked.application_id, locked.revision as found,
                updated.schema_id, updated.layers, updated.optional, updated.revision
            from locked left join updated on true
            """,
            {
                "id": id,
                "application_id": application_id,
                "schema_id": schema_id,
                "layers": layers,
                "optional": optional,
                "revisions": revisions,
            },
        )
    except IntegrityError as error:
        if error.diag.constraint_name in {"checks_schema_id_fkey", "checks_schema_of_application"}:
            raise NoSuchSchema from None
        raise
    if not rows:
        raise NotFound
    if application_id not in (None, rows[0]["application_id"]):
        raise OtherApplication
    if rows[0]["revision"] is None:
        raise PreconditionFailed(rows[0]["found"])
    return rows[0]
