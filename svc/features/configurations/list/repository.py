import database


async def list_after(
    after: str | None, application_id: str | None, name: str | None, limit: int
) -> list[database.Row]:
    """At most `limit` rows behind the id `after`, ascending:
    `id`, `application_id`, `name`, `comments`."""
    return await database.read(
        """
        select id, application_id, name, comments from configurations
        where (%(after)s::text is null or id > %(after)s)
        and (%(application_id)s::text is null or application_id = %(application_id)s)
        and (%(name)s::text is null or name = %(name)s)
        and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
        order by id limit %(limit)s
        """,
        {"after": after, "application_id": application_id, "name": name, "limit": limit},
    )
