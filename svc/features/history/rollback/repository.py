from dataclasses import dataclass

from psycopg2 import IntegrityError

import database


class NotFound(Exception):
    """There is no such configuration, and there never was."""


class NoSuchRevision(Exception):
    """The configuration has no such revision, or not any more."""


@dataclass
class PreconditionFailed(Exception):
    """The configuration is at `revision`, which is none of those that it may be at; None where it
    was deleted and may not be."""

    revision: int | None


class ApplicationGone(Exception):
    """The application that the configuration belonged to was deleted."""


class TooLarge(Exception):
    """The answer would be larger than a body may be."""


class NameTaken(Exception):
    """Another configuration of the application has this name."""


async def rollback(
    id: str, revision: int, revisions: list[int] | None, *, may_be_deleted: bool
) -> database.Row:
    """The configuration as it is now, with what it had at `revision`: its `body` as JSON text, and
    its `revision`.

    `revisions` are those that it may be at, or None for any. If it `may_be_deleted` it then comes
    back. Raises NotFound, NoSuchRevision, PreconditionFailed, ApplicationGone, TooLarge or
    NameTaken.
    """
    try:
        rows = await database.write(
            """
            with owner as (
                -- By its history, because it may have been deleted.
                select application_id as id from configuration_revisions
                where configuration_id = %(id)s order by revision limit 1
            ), wanted as (
                select name, comments, config, application_id,
                    -- What history calls this change, until the transaction ends.
                    set_config('config_service.action', 'rollback', true)
                from configuration_revisions
                where configuration_id = %(id)s and revision = %(revision)s
                and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
            ), locked as (
                select revision from configurations where id = %(id)s
                and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
                for no key update
            ), updated as (
                update configurations
                set name = wanted.name, comments = wanted.comments, config = wanted.config
                from wanted, locked
                where configurations.id = %(id)s
                and (%(revisions)s::bigint[] is null or locked.revision = any(%(revisions)s))
                returning configurations.revision, configuration_body(configurations) as body
            ), restored as (
                insert into configurations (id, application_id, name, comments, config)
                select %(id)s, application_id, name, comments, config from wanted
                where %(may_be_deleted)s and not exists (select from locked)
                returning revision, configuration_body(configurations) as body
            ), now as (
                select * from updated union all select * from restored
            )
            select
                exists (select from wanted) as has_revision,
                locked.revision as found, now.revision, now.body
            from owner left join locked on true left join now on true
            where %(confined_to)s::text is null or owner.id = confinement(%(confined_to)s)
            """,
            {
                "id": id,
                "revision": revision,
                "revisions": revisions,
                "may_be_deleted": may_be_deleted,
            },
        )
    except IntegrityError as error:
        match error.diag.constraint_name:
            case "configurations_application_id_fkey":
                raise ApplicationGone from None
            case "configurations_config_fits":
                raise TooLarge from None
            case "configurations_application_id_name_key":
                raise NameTaken from None
            case "configurations_pkey":
                # Another rollback has just brought it back: there is something to update now.
                return await rollback(id, revision, revisions, may_be_deleted=may_be_deleted)
        raise
    if not rows:
        raise NotFound
    if not rows[0]["has_revision"]:
        raise NoSuchRevision
    if rows[0]["body"] is None:
        raise PreconditionFailed(rows[0]["found"])
    return rows[0]
