import asyncio
from dataclasses import dataclass

from psycopg2 import IntegrityError

import database
from wire.types import new_ulid

from .models import ReplaceContentItem

# 11,000 configurations of 1.5 KB are changed, recorded and compared in one statement.
TIMEOUTS = 6


class NotFound(Exception):
    """There is no such application."""


@dataclass
class PreconditionFailed(Exception):
    """The last change is `sequence`, which is none of those that it may be."""

    sequence: int


@dataclass
class TooLarge(Exception):
    """The configurations of these `names` would be larger than a body may be; at most 20. None
    is named where only all of them together are too large."""

    names: list[str]


@dataclass
class OtherDeletions(Exception):
    """This `number` of configurations would be deleted, and not as many as said; `names` has the
    first of them, at most 20."""

    number: int
    names: list[str]


async def replace(
    id: str, items: dict[str, ReplaceContentItem], deletes: int, sequences: list[int] | None
) -> database.Row:
    """Makes the configurations of the application what `items` says of each, by its name; others
    are deleted, and there have to be exactly `deletes` of them. All of that is done, or nothing.

    `sequences` are those that the last change may have, or None for any. Returns the `previous` and
    the present `sequence`, and as `body` what was done, as JSON text. Raises NotFound,
    PreconditionFailed, TooLarge or OtherDeletions.
    """
    try:
        rows = await database.write(
            """
            select changed.* from applications cross join lateral change_content(
                applications.id,
                array(
                    select row(
                        item.id, item.name, false, true, item.comments, item.config, null
                    )::wanted_configuration
                    from unnest(
                        %(ids)s::text[], %(names)s::text[], %(comments)s::text[],
                        %(configs)s::jsonb[]
                    ) as item (id, name, comments, config)
                ),
                'replace', %(sequences)s::bigint[], %(deletes)s
            ) as changed
            where applications.id = %(id)s
            and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
            """,
            {
                "id": id,
                **await asyncio.to_thread(_lists, items),
                "sequences": sequences,
                "deletes": deletes,
            },
            timeouts=TIMEOUTS,
        )
    except IntegrityError as error:
        match error.diag.constraint_name:
            case "content_sequence":
                raise PreconditionFailed(database.told(error)["previous"]) from None
            case "content_fits":
                raise TooLarge([]) from None
            case "configurations_config_fits":
                raise TooLarge(database.told(error)["names"]) from None
            case "content_deletions":
                told = database.told(error)
                raise OtherDeletions(told["number"], told["names"] or []) from None
            case "configurations_application_id_fkey":
                raise NotFound from None
        raise
    if not rows:
        raise NotFound
    return rows[0]


def _lists(items: dict[str, ReplaceContentItem]) -> database.Values:
    """The values of the statement that are lists with an element for each item. Those of many
    thousands take long, and so are made in a thread."""
    return {
        "ids": [new_ulid() for _ in items],
        "names": list(items),
        "comments": [item.comments for item in items.values()],
        "configs": [item.config for item in items.values()],
    }
