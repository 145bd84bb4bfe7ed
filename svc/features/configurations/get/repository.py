import database
from wire.moments import point

# From a batch a text of more than 100,000 bytes is left out: it takes long to make and to send. So
# the texts of a batch of 100 have together at most some 100 * 100,000 B = 10 MB. What is stored in
# more is not even printed. Few bytes can become many: a number of 12 is printed in up to 309, and
# what is compressed may be 90 times as long; only 3,800 that are not compressed cannot exceed
# 100,000.
# What is known is looked up by the place of the id: a join with the two lists takes a fifth longer.
_GET = """
    select configurations.id, configurations.revision, configurations.stamp as tag, case
        when configurations.stamp =
            (%(known)s::bigint[])[array_position(%(id)s::text[], configurations.id)] then null
        when cardinality(%(id)s::text[]) = 1 then configuration_body(configurations)
        when pg_column_size(configurations.config) > 100000 then null
        when pg_column_size(configurations.config) <= 3800
            and pg_column_compression(configurations.config) is null
            then configuration_body(configurations)
        else (
            select printed.body from (
                select configuration_body(configurations) as body
                -- A trick of the planner: without it the text is made twice, once for its length.
                offset 0
            ) as printed
            where octet_length(printed.body) <= 100000
        )
    end as body
    from configurations
    where configurations.id = any(%(id)s::text[])
    and (%(confined_to)s::text is null
        or configurations.application_id = (select confinement(%(confined_to)s)))
"""


_GET_AT = """
    with owner as (
        -- By its history, because it may have been deleted.
        select applications.id from configuration_revisions
        join applications on applications.id = configuration_revisions.application_id
        where configuration_revisions.configuration_id = %(id)s
        and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
        order by configuration_revisions.revision limit 1
    ), point as (
        select point_in_time.*
        from owner cross join lateral point_in_time(owner.id, %(sequence)s, %(time)s)
    )
    select
        point.sequence, named.name is not null as was_there,
        was.revision, configuration_body(was) as body
    from point
    left join configuration_names as named
        on named.configuration_id = %(id)s
        and named.since <= point.lost and named.until > point.sequence
    left join lateral configuration_at(
        named.configuration_id, point.sequence, point.lost
    ) as was on true
"""


class NotFound(Exception):
    """There is no such configuration."""


class InFuture(Exception):
    """The sequence or the time is yet to come."""


class Trimmed(Exception):
    """It was there then, and history does not have it any more."""


async def get(id: str) -> database.Row:
    """Its `revision`, and its `body` as JSON text. Raises NotFound."""
    found = await database.read_batched(_GET, {"id": id})
    if found is None:
        raise NotFound
    return found


async def get_at(id: str, at: str) -> database.Row:
    """Its `revision` and its `body` as JSON text, as they were `at` a sequence or a time; and the
    `sequence` that this stands for. Raises NotFound, InFuture or Trimmed."""
    rows = await database.read(_GET_AT, {"id": id, **point(at)})
    if not rows:
        raise NotFound
    if rows[0]["sequence"] is None:
        raise InFuture
    if not rows[0]["was_there"]:
        raise NotFound
    if rows[0]["revision"] is None:
        raise Trimmed
    return rows[0]
