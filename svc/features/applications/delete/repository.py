import database


class NotFound(Exception):
    """There is no such application."""


async def delete(id: str) -> None:
    """Deletes the application and, by its foreign key, its configurations. Raises NotFound."""
    rows = await database.write(
        "delete from applications where id = %(id)s returning id", {"id": id}
    )
    if not rows:
        raise NotFound
