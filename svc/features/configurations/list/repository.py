import database


async def list_after(
    after: str | None, application_id: str | None, name: str | None, limit: int
) -> list[database.Row]:
    """At most `limit` rows behind the id `after`, ascending:
    `id`, `application_id`, `name`, `comments`."""
    one = application_id or database.confined_to()
    return await database.read(
        f"""
        select id, application_id, name, comments from configurations
        where (%(after)s::text is null or id > %(after)s)
        and (%(name)s::text is null or name = %(name)s)
        and (%(application_id)s::text is null and %(confined_to)s::text is null
            or application_id = any(array[
                coalesce(%(application_id)s, confinement(%(confined_to)s))
            ]))
        and (%(application_id)s::text is null or %(confined_to)s::text is null
            or %(application_id)s = confinement(%(confined_to)s))
        -- Of one application this is the order of its ids too. It makes sure of that index: where
        -- an application owns many, PostgreSQL would rather look for them among all ids.
        order by {"application_id, id" if one else "id"} limit %(limit)s
        """,  # noqa: S608 - nothing of the request is put into it
        {"after": after, "application_id": application_id, "name": name, "limit": limit},
    )
