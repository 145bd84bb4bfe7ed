import database


class NotFound(Exception):
    """There is no such configuration."""


async def get(id: str) -> database.Row:
    """Its `body`, the JSON text that PostgreSQL prints, and its `revision`. Raises NotFound."""
    found = await database.find(
        """
        select id, revision, (
            select row_to_json(answer)::text
            from (select id, application_id, name, comments, config) as answer
        ) as body
        from configurations where id = any(%(ids)s)
        and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
        """,
        id,
    )
    if found is None:
        raise NotFound
    return found
