from dataclasses import dataclass
from typing import Any

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


async def patch(id: str, members: dict[str, Any], revisions: list[int] | None) -> database.Row:
    """The configuration as it is now: its `body` as JSON text, and its `revision`.

    `members` are those that the patch has; its `config` is a merge patch as JSON text. `revisions`
    are those the configuration may be at, or None for any. Raises NotFound, OtherApplication,
    PreconditionFailed, TooLarge or NameTaken.
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
                    %(comments)s::text[], %(has_comments)s::boolean[], %(config)s::text[],
                    %(revisions)s::text[]
                ) as wanted (
                    id, application_id, name, comments, has_comments, config, revisions
                )
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
                    name = coalesce((locked.wanted).name, configurations.name),
                    comments = case when (locked.wanted).has_comments
                        then (locked.wanted).comments else configurations.comments end,
                    config = merge_patch(configurations.config, (locked.wanted).config::jsonb)
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
                "application_id": members.get("application_id"),
                "name": members.get("name"),
                "comments": members.get("comments"),
                "has_comments": "comments" in members,
                "config": members.get("config", "{}"),
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
    if members.get("application_id", row["application_id"]) != row["application_id"]:
        raise OtherApplication
    if row["body"] is None:
        raise PreconditionFailed(row["found"])
    return row
