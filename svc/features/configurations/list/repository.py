import json

import database

# The rows of a page and their order, by whether one application and one name are asked for.
#
# `= any(array[…])`, where `=` would do, is a trick of the planner. By `=` PostgreSQL knows that all
# rows have one application_id (or name), and so that the order is that of `id` alone: it may then
# walk the primary key, past all other configurations. By `any` it does not know, and takes the
# index of (application_id, id) or (name, id), the only one in the order asked for.
#
# Application and name together have one row at most. `id` is compared in a way that no index can
# serve: PostgreSQL would take that of (name, id), and read the name in all applications.
_ROWS = {
    (False, False): "listed.id > wanted.after order by listed.id",
    (False, True): """
        listed.name = any(array[wanted.name]) and listed.id > wanted.after
        order by listed.name, listed.id
    """,
    (True, False): """
        listed.application_id = any(array[wanted.application_id]) and listed.id > wanted.after
        order by listed.application_id, listed.id
    """,
    (True, True): """
        listed.application_id = wanted.application_id and listed.name = wanted.name
        and (wanted.after = '' or listed.id > wanted.after)
    """,
}

_PAGE = """
    with wanted as (
        select
            id, coalesce(application_id, (select confinement(%(confined_to)s))) as application_id,
            name, after, rows, known
        from unnest(
            %(id)s::text[], %(application_id)s::text[], %(name)s::text[], %(after)s::text[],
            %(limit)s::int[], %(known)s::text[]
        ) as asked (id, application_id, name, after, rows, known)
        -- A caller that is confined to one application and asks for another gets nothing.
        where %(confined_to)s::text is null or application_id is null
            or application_id = (select confinement(%(confined_to)s))
    )
    select
        wanted.id, page.tag, page.next,
        case
            when page.tag = wanted.known then null
            -- From a batch a text of more than some 100,000 bytes is left out: it takes long to
            -- make and to send.
            when page.bytes > 100000 and cardinality(%(id)s::text[]) > 1 then null
            else (
                select '[' || string_agg(row_to_json(found)::text, ',') || ']'
                from (
                    select listed.id, listed.application_id, listed.name, listed.comments
                    from configurations as listed where {rows} limit wanted.rows
                ) as found
            )
        end as body
    from wanted
    cross join lateral (
        select
            -- A row with the id and the stamp of one that was printed before is that same row.
            md5(string_agg(found.id || ' ' || found.stamp, ' ')) as tag,
            -- One more is found than the page holds, to know whether there is a next.
            case when count(*) > wanted.rows then (array_agg(found.id))[wanted.rows] end as next,
            sum(100 + octet_length(concat(found.name, found.comments))) as bytes
        from (
            select listed.id, listed.name, listed.comments, listed.stamp
            from configurations as listed where {rows} limit wanted.rows + 1
        ) as found
        having count(*) > 0
    ) as page
"""
_PAGES = {asked: _PAGE.format(rows=rows) for asked, rows in _ROWS.items()}


async def list_after(
    after: str | None, application_id: str | None, name: str | None, limit: int
) -> database.Row:
    """At most `limit` configurations behind the id `after`, ascending: the `body` as JSON text, and
    `next`, the last id where more follow."""
    sql = _PAGES[bool(application_id or database.confined_to()), name is not None]
    asked = {"application_id": application_id, "name": name, "after": after or "", "limit": limit}
    page = await database.read_batched(sql, {"id": json.dumps(asked), **asked})
    return page or {"body": "[]", "next": None}
