import database


class NotFound(Exception):
    """There is no such application."""


async def list_after(id: str, after: int, limit: int) -> list[database.Row]:
    """At most `limit` changes of the application behind the sequence number `after`, ascending:
    the fields of `Change`. Raises NotFound."""
    rows = await database.read(
        """
        select page.* from (
            select from applications where id = %(id)s
            and (%(confined_to)s::text is null or id = confinement(%(confined_to)s))
        ) as known left join lateral (
            select sequence, configuration_id, name, revision, action, actor, recorded_at
            from configuration_revisions
            where application_id = %(id)s and sequence > %(after)s
            order by sequence limit %(limit)s
        ) as page on true
        """,
        {"id": id, "after": after, "limit": limit},
    )
    if not rows:
        raise NotFound
    return [row for row in rows if row["sequence"] is not None]
