from psycopg2.errors import CheckViolation, UniqueViolation

import database


class NotFound(Exception):
    """There is no such configuration."""


class OtherApplication(Exception):
    """The configuration belongs to another application than the one given."""


class PreconditionFailed(Exception):
    """The configuration is at another revision, the exception's argument."""


class TooLarge(Exception):
    """The document, as PostgreSQL prints it, is larger than a body may be."""


class NameTaken(Exception):
    """Another configuration of the application has this name."""


async def replace(
    id: str,
    application_id: str | None,
    name: str,
    comments: str | None,
    config: str,
    revisions: list[int] | None,
) -> database.Row:
    """The configuration as it is now: its `body` as JSON text, and its `revision`.

    `config` is JSON text, `application_id` the one it must belong to, `revisions` those it may be
    at. Raises NotFound, OtherApplication, PreconditionFailed, TooLarge or NameTaken.
    """
    try:
        rows = await database.write(
            """
            with found as (
                select application_id, revision from configurations
                where id = %(id)s
                and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
                for no key update
            ), replaced as (
                update configurations
                set name = %(name)s, comments = %(comments)s, config = %(config)s
                from found
                where configurations.id = %(id)s
                and found.application_id = coalesce(%(application_id)s, found.application_id)
                and (%(revisions)s::bigint[] is null or found.revision = any(%(revisions)s))
                returning configurations.*
            ), answer as (
                select id, application_id, name, comments, config from replaced
            )
            select found.application_id, found.revision as found,
                (select revision from replaced) as revision,
                (select row_to_json(answer)::text from answer) as body
            from found
            """,
            {
                "id": id,
                "application_id": application_id,
                "name": name,
                "comments": comments,
                "config": config,
                "revisions": revisions,
            },
        )
    except CheckViolation as error:
        if error.diag.constraint_name == "configurations_config_fits":
            raise TooLarge from None
        raise
    except UniqueViolation as error:
        if error.diag.constraint_name == "configurations_application_id_name_key":
            raise NameTaken from None
        raise
    if not rows:
        raise NotFound
    if application_id not in (None, rows[0]["application_id"]):
        raise OtherApplication
    if rows[0]["body"] is None:
        raise PreconditionFailed(rows[0]["found"])
    return rows[0]
