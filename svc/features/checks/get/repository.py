import database


class NotFound(Exception):
    """There is no such check."""


async def get(id: str) -> database.Row:
    """The check, and its `revision`. Raises NotFound."""
    rows = await database.read(
        """
        select id, application_id, schema_id, layers, optional, revision from checks
        where id = %(id)s
        and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
        """,
        {"id": id},
    )
    if not rows:
        raise NotFound
    return rows[0]
