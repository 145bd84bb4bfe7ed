import database

_ALL = """
    select id, application_id, name, comments from configurations
    where (%(after)s::text is null or id > %(after)s)
    and (%(name)s::text is null or name = %(name)s)
    order by id limit %(limit)s
"""

# `= any(array[…])`, where `=` would do, is a trick of the planner. By `=` PostgreSQL knows that all
# rows have one application_id, and so that the order is that of `id` alone: where an application
# owns many it then walks the primary key, past the configurations of all others. By `any` it does
# not know, and takes the index of (application_id, id), the only one in the order asked for.
_OF_ONE_APPLICATION = """
    select id, application_id, name, comments from configurations
    where (%(after)s::text is null or id > %(after)s)
    and (%(name)s::text is null or name = %(name)s)
    and application_id = any(array[coalesce(%(application_id)s, confinement(%(confined_to)s))])
    -- A caller that is confined to one application and asks for another gets nothing.
    and (%(application_id)s::text is null or %(confined_to)s::text is null
        or %(application_id)s = confinement(%(confined_to)s))
    order by application_id, id limit %(limit)s
"""


async def list_after(
    after: str | None, application_id: str | None, name: str | None, limit: int
) -> list[database.Row]:
    """At most `limit` rows behind the id `after`, ascending:
    `id`, `application_id`, `name`, `comments`."""
    return await database.read(
        _OF_ONE_APPLICATION if application_id or database.confined_to() else _ALL,
        {"after": after, "application_id": application_id, "name": name, "limit": limit},
    )
