import database


class NotFound(Exception):
    """There is no such application."""


async def get(id: str) -> database.Row:
    """The row: `id`, `name`, `comments`, `revision` and `configuration_ids`, ascending.

    Raises NotFound.
    """
    rows = await database.read(
        """
        select applications.id, applications.name, applications.comments, applications.revision,
            array(
                select configurations.id from configurations
                where configurations.application_id = applications.id
                order by configurations.id
            ) as configuration_ids
        from applications where applications.id = %(id)s
        and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
        """,
        {"id": id},
    )
    if not rows:
        raise NotFound
    return rows[0]
