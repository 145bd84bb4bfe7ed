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
    try:
        rows = await database.write(
            """
            with locked as (
                select application_id, revision from configurations
                where id = %(id)s
                and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
                for no key update
            ), updated as (
                update configurations set
                    name = coalesce(%(name)s, configurations.name),
                    comments = case when %(has_comments)s
                        then %(comments)s else configurations.comments end,
                    config = merge_patch(configurations.config, %(config)s)
                from locked
                where configurations.id = %(id)s
                and locked.application_id = coalesce(%(application_id)s, locked.application_id)
                and (%(revisions)s::bigint[] is null or locked.revision = any(%(revisions)s))
                returning
                    configurations.revision, configuration_body(configurations) as body
            )
            select locked.application_id, locked.revision as found, updated.revision, updated.body
            from locked left join updated on true
            """,
            {
                "id": id,
                "application_id": members.get("application_id"),
                "name": members.get("name"),
                "comments": members.get("comments"),
                "has_comments": "comments" in members,
                "config": members.get("config", "{}"),
                "revisions": revisions,
            },
        )
    except IntegrityError as error:
        match error.diag.constraint_name:
            case "configurations_config_fits":
                raise TooLarge from None
            case "configurations_application_id_name_key":
                raise NameTaken from None
        raise
    if not rows:
        raise NotFound
    if members.get("application_id", rows[0]["application_id"]) != rows[0]["application_id"]:
        raise OtherApplication
    if rows[0]["body"] is None:
        raise PreconditionFailed(rows[0]["found"])
    return rows[0]
