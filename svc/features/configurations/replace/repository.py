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
        row = await database.write_batched(
            """
            with asked as (
                select * from unnest(
                    %(id)s::text[], %(application_id)s::text[], %(name)s::text[],
                    %(comments)s::text[], %(config)s::text[], %(revisions)s::text[]
                ) as asked (id, owner, new_name, new_comments, new_config, revisions)
            ), found as (
                select application_id, revision, asked.*
                from asked join configurations using (id)
                where %(confined_to)s::text is null or application_id = confinement(%(confined_to)s)
                -- In this order, so that two such statements cannot wait for each other.
                order by id
                for no key update of configurations
            ), replaced as (
                update configurations
                set name = new_name, comments = new_comments, config = new_config::jsonb
                from found
                where configurations.id = found.id
                and found.application_id = coalesce(owner, found.application_id)
                and (revisions is null or revisions::jsonb @> to_jsonb(found.revision))
                returning configurations.*
            )
            select id, found.application_id, found.revision as found, replaced.revision, (
                select row_to_json(answer)::text from (
                    select id, replaced.application_id, name, comments, config
                    where replaced.revision is not null
                ) as answer
            ) as body
            from found left join replaced using (id)
            """,
            {
                "id": id,
                "application_id": application_id,
                "name": name,
                "comments": comments,
                "config": config,
                "revisions": None if revisions is None else str(revisions),
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
    if row is None:
        raise NotFound
    if application_id not in (None, row["application_id"]):
        raise OtherApplication
    if row["body"] is None:
        raise PreconditionFailed(row["found"])
    return row
