import database
from wire.moments import point

# Each change of an application has a sequence of its own, and a time of its own, which tells two
# apart that have the same sequence: a restore to an earlier time gives sequences out again.
_CONTENT = """
    with wanted as (
        select * from unnest(%(id)s::text[], %(most_bytes)s::bigint[], %(known)s::text[])
            as wanted (id, most_bytes, known)
    )
    select
        wanted.id, last.sequence, last.tag,
        case
            when last.tag = wanted.known then null
            -- What is large takes long to make and to send: a batch leaves it out.
            when cardinality(%(id)s::text[]) > 1
                then content_body(wanted.id, last.sequence, least(wanted.most_bytes, 100000))
            else coalesce(content_body(wanted.id, last.sequence, wanted.most_bytes), '')
        end as body
    from wanted
    cross join lateral (
        select from applications
        where applications.id = wanted.id
        and (%(confined_to)s::text is null
            or applications.id = (select confinement(%(confined_to)s)))
        -- A trick of the planner: without it all applications may be read, to join them later.
        offset 0
    ) as application
    cross join lateral (
        select
            coalesce(max(change.sequence), 0) as sequence,
            concat_ws(' ', max(change.sequence), max(change.recorded_at)) as tag
        from (
            select sequence, recorded_at from configuration_revisions
            where application_id = wanted.id order by sequence desc limit 1
        ) as change
    ) as last
"""


_CONTENT_AT = """
    with point as (
        select applications.id, point_in_time.* from applications
        cross join lateral point_in_time(applications.id, %(sequence)s, %(time)s)
        where applications.id = %(id)s
        and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
    )
    select
        point.sequence,
        exists (
            select from configurations_at(point.id, point.sequence, point.lost) as was
            where was.id is null
        ) as is_trimmed,
        coalesce(
            content_body_at(point.id, point.sequence, point.lost, %(most_bytes)s), ''
        ) as body
    from point
"""


class NotFound(Exception):
    """There is no such application."""


class InFuture(Exception):
    """The sequence or the time is yet to come."""


class Trimmed(Exception):
    """History does not have all of it any more."""


async def get(id: str, most_bytes: int) -> database.Row:
    """The content of an application: the `body` as JSON text, empty where it would have more than
    `most_bytes`, and the `sequence` of its last change, 0 before the first. Raises NotFound."""
    found = await database.read_batched(_CONTENT, {"id": id, "most_bytes": most_bytes})
    if found is None:
        raise NotFound
    return found


async def get_at(id: str, at: str, most_bytes: int) -> database.Row:
    """The content as it was `at` a sequence or a time, as `get` gives it; its `sequence` is the one
    that this stands for. Raises NotFound, InFuture or Trimmed."""
    rows = await database.read(_CONTENT_AT, {"id": id, "most_bytes": most_bytes, **point(at)})
    if not rows:
        raise NotFound
    if rows[0]["sequence"] is None:
        raise InFuture
    if rows[0]["is_trimmed"]:
        raise Trimmed
    return rows[0]
