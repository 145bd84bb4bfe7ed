import database


class NotFound(Exception):
    """There is no such configuration."""


async def get(id: str) -> database.Row:
    """Its `body`, the JSON text that PostgreSQL prints, and its `revision`. Raises NotFound."""
    rows = await database.read(
        """
        select revision, (
            select row_to_json(answer)::text
            from (select id, application_id, name, comments, config) as answer
        ) as body
        from configurations where id = %(id)s
        and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
        """,
        {"id": id},
    )
    if not rows:
        raise NotFound
    return rows[0]
