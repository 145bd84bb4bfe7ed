from psycopg2.errors import CheckViolation, ForeignKeyViolation, UniqueViolation

import database


class NotFound(Exception):
    """There is no such configuration, and there never was."""


class NoSuchRevision(Exception):
    """The configuration has no such revision, or not any more."""


class PreconditionFailed(Exception):
    """The configuration is at another revision, the exception's argument, or deleted (None)."""


class ApplicationGone(Exception):
    """The application that the configuration belonged to was deleted."""


class TooLarge(Exception):
    """The document, as PostgreSQL prints it, is larger than a body may be."""


class NameTaken(Exception):
    """Another configuration of the application has this name."""


async def rollback(
    id: str, revision: int, revisions: list[int] | None, *, must_exist: bool
) -> database.Row:
    """The configuration as it is now: its `body` as JSON text, and its `revision`.

    It comes back where it was deleted, unless it `must_exist`. Raises NotFound, NoSuchRevision,
    PreconditionFailed, ApplicationGone, TooLarge or NameTaken.
    """
    try:
        rows = await database.write(
            """
            with wanted as (
                select name, comments, config, application_id,
                    set_config('config_service.action', 'rollback', true)
                from configuration_revisions
                where configuration_id = %(id)s and revision = %(revision)s
                and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
            ), found as (
                select revision from configurations where id = %(id)s
                and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
                for no key update
            ), updated as (
                update configurations
                set name = wanted.name, comments = wanted.comments, config = wanted.config
                from wanted, found
                where configurations.id = %(id)s
                and (%(revisions)s::bigint[] is null or found.revision = any(%(revisions)s))
                returning configurations.*
            ), restored as (
                insert into configurations (id, application_id, name, comments, config)
                select %(id)s, application_id, name, comments, config from wanted
                where not %(must_exist)s and not exists (select from found)
                returning configurations.*
            ), now as (
                select * from updated union all select * from restored
            ), answer as (
                select id, application_id, name, comments, config from now
            )
            select
                exists (select from wanted) as wanted,
                (select revision from found) as found,
                (select revision from now) as revision,
                (select row_to_json(answer)::text from answer) as body
            from (
                select application_id from configuration_revisions
                where configuration_id = %(id)s order by revision limit 1
            ) as first
            where %(confined_to)s::text is null or application_id = confinement(%(confined_to)s)
            """,
            {"id": id, "revision": revision, "revisions": revisions, "must_exist": must_exist},
        )
    except ForeignKeyViolation as error:
        if error.diag.constraint_name == "configurations_application_id_fkey":
            raise ApplicationGone from None
        raise
    except CheckViolation as error:
        if error.diag.constraint_name == "configurations_config_fits":
            raise TooLarge from None
        raise
    except UniqueViolation as error:
        if error.diag.constraint_name == "configurations_application_id_name_key":
            raise NameTaken from None
        if error.diag.constraint_name == "configurations_pkey":
            # Another rollback has just brought it back: there is something to update now.
            return await rollback(id, revision, revisions, must_exist=must_exist)
        raise
    if not rows:
        raise NotFound
    if not rows[0]["wanted"]:
        raise NoSuchRevision
    if rows[0]["body"] is None:
        raise PreconditionFailed(rows[0]["found"])
    return rows[0]
