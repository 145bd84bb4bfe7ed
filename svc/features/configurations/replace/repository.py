from psycopg2.errors import CheckViolation, UniqueViolation

import database


class NotFound(Exception):
    """There is no such configuration."""


class OtherApplication(Exception):
    """The configuration belongs to another application than the one given."""


class TooLarge(Exception):
    """The document, as PostgreSQL prints it, is larger than a body may be."""


class NameTaken(Exception):
    """Another configuration of the application has this name."""


async def replace(
    id: str, application_id: str | None, name: str, comments: str | None, config: str
) -> str:
    """The configuration as it is now, as JSON text. `config` is JSON text, `application_id` the one
    it must belong to. Raises NotFound, OtherApplication, TooLarge or NameTaken.
    """
    try:
        rows = await database.write(
            """
            with found as (
                select application_id from configurations where id = %(id)s
            ), replaced as (
                update configurations
                set name = %(name)s, comments = %(comments)s, config = %(config)s
                where id = %(id)s
                and application_id = coalesce(%(application_id)s, application_id)
                returning id, application_id, name, comments, config
            )
            select application_id, (select row_to_json(replaced)::text from replaced) as body
            from found
            """,
            {
                "id": id,
                "application_id": application_id,
                "name": name,
                "comments": comments,
                "config": config,
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
    if rows[0]["body"] is None:  # deleted while this statement waited for it
        raise NotFound
    body: str = rows[0]["body"]
    return body
