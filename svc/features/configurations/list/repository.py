import database

_ALL = """
    select id, application_id, name, comments from configurations
    where (%(after)s::text is null or id > %(after)s)
    and (%(name)s::text is null or name = %(name)s)
    order by id limit %(limit)s + 1
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
    order by application_id, id limit %(limit)s + 1
"""

# One more is found than the page holds, to know whether there is a next.
_PAGE = """
    with found as ({})
    select
        case when count(*) > %(limit)s then (array_agg(id order by id))[%(limit)s] end as next,
        '[' || coalesce(array_to_string(
            (array_agg(row_to_json(found)::text order by id))[:%(limit)s], ','
        ), '') || ']' as body
    from found
"""


async def list_after(
    after: str | None, application_id: str | None, name: str | None, limit: int
) -> database.Row:
    """At most `limit` configurations behind the id `after`, ascending: the `body` as JSON text, and
    `next`, the last id where more follow."""
    found = _OF_ONE_APPLICATION if application_id or database.confined_to() else _ALL
    [page] = await database.read(
        _PAGE.format(found),
        {"after": after, "application_id": application_id, "name": name, "limit": limit},
    )
    return page
