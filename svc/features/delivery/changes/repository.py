import database


class NotFound(Exception):
    """There is no such application."""


async def list_after(id: str, after: int, limit: int) -> list[database.Row]:
    """At most `limit` changes of the application behind the sequence number `after`, ascending:
    the fields of `Change`. Raises NotFound."""
    rows = await database.read(
        """
        with page as (
            select sequence, configuration_id, name, revision, action, actor,
                rfc3339(recorded_at) as recorded_at
            from configuration_revisions
            where application_id = %(id)s and sequence > %(after)s
            order by sequence limit %(limit)s
        )
        -- One row of nulls where the page is empty; none where there is no such application.
        select page.* from applications left join page on true
        where applications.id = %(id)s
        and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
        order by page.sequence
        """,
        {"id": id, "after": after, "limit": limit},
    )
    if not rows:
        raise NotFound
    return [row for row in rows if row["sequence"] is not None]
