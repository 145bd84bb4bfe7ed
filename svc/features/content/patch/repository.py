import asyncio
from dataclasses import dataclass
from typing import Any

from psycopg2 import IntegrityError

import database
from wire.types import new_ulid

# 11,000 configurations of 1.5 KB are changed, recorded and compared in one statement.
TIMEOUTS = 6


class NotFound(Exception):
    """There is no such application."""


@dataclass
class PreconditionFailed(Exception):
    """The last change is `sequence`, which is none of those that it may be."""

    sequence: int


@dataclass
class OtherRevisions(Exception):
    """The configurations of these `names` are at other revisions than they must be; the last change
    of all is `sequence`. At most 20 are named."""

    sequence: int
    names: list[str]


@dataclass
class TooLarge(Exception):
    """The configurations of these `names` would be larger than a body may be; at most 20. None
    is named where only all of them together are too large."""

    names: list[str]


async def patch(
    id: str, items: dict[str, dict[str, Any] | None], sequences: list[int] | None
) -> database.Row:
    """Changes the configurations of the application that `items` names, all of them or none.

    An item has the members that the patch has: its `config` is a merge patch as JSON text, and its
    `revision` the one that the configuration must be at. None deletes. `sequences` are those that
    the last change may have, or None for any. Returns the `previous` and the present `sequence`,
    and as `body` what was done, as JSON text. Raises NotFound, PreconditionFailed, OtherRevisions
    or TooLarge.
    """
    try:
        rows = await database.write(
            """
            select changed.* from applications cross join lateral change_content(
                applications.id,
                array(
                    select item::wanted_configuration from unnest(
                        %(ids)s::text[], %(names)s::text[], %(are_deleted)s::boolean[],
                        %(have_comments)s::boolean[], %(comments)s::text[],
                        %(configs)s::jsonb[], %(revisions)s::bigint[]
                    ) as item
                ),
                'patch', %(sequences)s::bigint[], 0
            ) as changed
            where applications.id = %(id)s
            and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
            """,
            {
                "id": id,
                **await asyncio.to_thread(_lists, items),
                "sequences": sequences,
            },
            timeouts=TIMEOUTS,
        )
    except IntegrityError as error:
        match error.diag.constraint_name:
            case "content_sequence":
                raise PreconditionFailed(database.told(error)["previous"]) from None
            case "content_revisions":
                told = database.told(error)
                raise OtherRevisions(told["previous"], told["names"]) from None
            case "content_fits":
                raise TooLarge([]) from None
            case "configurations_config_fits":
                raise TooLarge(database.told(error)["names"]) from None
            case "configurations_application_id_fkey":
                raise NotFound from None
        raise
    if not rows:
        raise NotFound
    return rows[0]


def _lists(items: dict[str, dict[str, Any] | None]) -> database.Values:
    """The values of the statement that are lists with an element for each item. Those of many
    thousands take long, and so are made in a thread."""
    given = [item or {} for item in items.values()]
    return {
        "ids": [new_ulid() for _ in items],
        "names": list(items),
        "are_deleted": [item is None for item in items.values()],
        "have_comments": ["comments" in item for item in given],
        "comments": [item.get("comments") for item in given],
        "configs": [item.get("config", "{}") for item in given],
        "revisions": [item.get("revision") for item in given],
    }
