from dataclasses import dataclass

from psycopg2 import IntegrityError

import database


class NotFound(Exception):
    """There is no such configuration."""


class OtherApplication(Exception):
    """The configuration belongs to another application than the one given."""


@dataclass
class PreconditionFailed(Exception):
    """The configuration is at `revision`, which is none of those that it may be at."""

    revision: int


class TooLarge(Exception):
    """The answer would be larger than a body may be."""


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

    `config` is JSON text, `application_id` the one it must belong to or None, `revisions` those it
    may be at, or None for any. Raises NotFound, OtherApplication, PreconditionFailed, TooLarge or
    NameTaken.
    """
    # In a batch each value becomes a list, and PostgreSQL has no lists of lists of unequal length:
    # so the revisions go as the text of an array, such as {3,4}.
    allowed = None if revisions is None else f"{{{','.join(map(str, revisions))}}}"
    try:
        row = await database.write_batched(
            """
            with wanted as (
                select * from unnest(
                    %(id)s::text[], %(application_id)s::text[], %(name)s::text[],
                    %(comments)s::text[], %(config)s::text[], %(revisions)s::text[]
                ) as wanted (id, application_id, name, comments, config, revisions)
            ), locked as (
                -- With what is wanted of each: joined later, each would be compared with each.
                select
                    configurations.id, configurations.application_id, configurations.revision,
                    wanted
                from wanted join configurations on configurations.id = wanted.id
                where %(confined_to)s::text is null
                or configurations.application_id = (select confinement(%(confined_to)s))
                -- In this order, so that two such statements cannot wait for each other.
                order by configurations.id
                for no key update of configurations
            ), updated as (
                update configurations
                set
                    name = (locked.wanted).name,
                    comments = (locked.wanted).comments,
                    config = (locked.wanted).config::jsonb
                from locked
                where configurations.id = locked.id
                and locked.application_id
                    = coalesce((locked.wanted).application_id, locked.application_id)
                and ((locked.wanted).revisions is null
                    or locked.revision = any((locked.wanted).revisions::bigint[]))
                returning
                    configurations.id, configurations.revision,
                    configuration_body(configurations) as body
            )
            select
                locked.id, locked.application_id, locked.revision as found,
                updated.revision, updated.body
            from locked left join updated on updated.id = locked.id
            """,
            {
                "id": id,
                "application_id": application_id,
                "name": name,
                "comments": comments,
                "config": config,
                "revisions": allowed,
            },
        )
    except IntegrityError as error:
        match error.diag.constraint_name:
            case "configurations_config_fits":
                raise TooLarge from None
            case "configurations_application_id_name_key":
                raise NameTaken from None
        raise
    if row is None:
        raise NotFound
    if application_id not in (None, row["application_id"]):
        raise OtherApplication
    if row["body"] is None:
        raise PreconditionFailed(row["found"])
    return row
