import database


class NotFound(Exception):
    """There is no such configuration."""


async def delete(id: str) -> None:
    """Deletes the configuration. Raises NotFound."""
    rows = await database.write(
        "delete from configurations where id = %(id)s returning id", {"id": id}
    )
    if not rows:
        raise NotFound
