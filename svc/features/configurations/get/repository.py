import database


class NotFound(Exception):
    """There is no such configuration."""


async def get(id: str) -> str:
    """The configuration as JSON text, as PostgreSQL prints it. Raises NotFound."""
    rows = await database.read(
        """
        select row_to_json(found)::text as body from (
            select id, application_id, name, comments, config from configurations
            where id = %(id)s
        ) as found
        """,
        {"id": id},
    )
    if not rows:
        raise NotFound
    body: str = rows[0]["body"]
    return body
