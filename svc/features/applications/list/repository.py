import database


async def list_after(after: str | None, name: str | None, limit: int) -> list[database.Row]:
    """At most `limit` rows behind the id `after`, ascending: `id`, `name`, `comments`."""
    return await database.read(
        """
        select id, name, comments from applications
        where (%(after)s::text is null or id > %(after)s)
        and (%(name)s::text is null or name = %(name)s)
        and (%(confined_to)s::text is null or id = confinement(%(confined_to)s))
        order by id limit %(limit)s
        """,
        {"after": after, "name": name, "limit": limit},
    )
