import database


async def list_after(
    after: str | None, application_id: str | None, limit: int
) -> list[database.Row]:
    """At most `limit` checks behind the id `after`, ascending by id; of one application if it is
    given."""
    return await database.read(
        """
        select id, application_id, schema_id, layers, optional from checks
        where (%(after)s::text is null or id > %(after)s)
        and (%(application_id)s::text is null or application_id = %(application_id)s)
        and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
        order by id limit %(limit)s
        """,
        {"after": after, "application_id": application_id, "limit": limit},
    )
