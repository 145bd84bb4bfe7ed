import json

import database

_PAGE = """
    with wanted as (
        select * from unnest(
            %(id)s::text[], %(name)s::text[], %(after)s::text[], %(limit)s::int[], %(known)s::text[]
        ) as wanted (id, name, after, rows, known)
    )
    select
        wanted.id, hashed.tag, page.next,
        case
            when hashed.tag = wanted.known then null
            -- From a batch a text of more than 100,000 bytes is left out: it takes long to send.
            when octet_length(page.body) > 100000 and cardinality(%(id)s::text[]) > 1 then null
            else page.body
        end as body
    from wanted
    cross join lateral (
        select
            -- One more is found than the page holds, to know whether there is a next.
            case when count(*) > wanted.rows then (array_agg(found.id))[wanted.rows] end as next,
            '[' || array_to_string((array_agg(row_to_json(found)::text))[:wanted.rows], ',') || ']'
                as body
        from (
            select listed.id, listed.name, listed.comments from applications as listed
            where (%(confined_to)s::text is null
                or listed.id = (select confinement(%(confined_to)s)))
            and {rows} limit wanted.rows + 1
        ) as found
        having count(*) > 0
    ) as page
    cross join lateral (
        select encode(sha256(convert_to(page.body, 'UTF8')), 'hex') as tag
        -- A trick of the planner: without it the hash is made twice.
        offset 0
    ) as hashed
"""

# Where one row at most is wanted, `id` is compared in a way that no index can serve: PostgreSQL
# could take that for the way to the row, and read all others on it.
_BEHIND = "(wanted.after = '' or listed.id > wanted.after)"
_NAMED = _PAGE.format(rows=f"listed.name = wanted.name and {_BEHIND}")
_OWN = _PAGE.format(rows=f"listed.id = (select confinement(%(confined_to)s)) and {_BEHIND}")
_ALL = _PAGE.format(rows="listed.id > wanted.after order by listed.id")


async def list_after(after: str | None, name: str | None, limit: int) -> database.Row:
    """At most `limit` applications behind the id `after`, ascending: the `body` as JSON text, and
    `next`, the last id where more follow."""
    sql = _NAMED if name is not None else _OWN if database.confined_to() else _ALL
    asked = {"name": name, "after": after or "", "limit": limit}
    page = await database.read_batched(sql, {"id": json.dumps(asked), **asked})
    return page or {"body": "[]", "next": None}
