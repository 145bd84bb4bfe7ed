import json
from dataclasses import dataclass

import database
from wire.moments import point

# The two answers differ, and so do their entity tags: by the letter in front of the revisions.

# From a batch a text of more than 100,000 bytes is left out: it takes long to make and to send.
# What is stored in more is not even merged.

# Each `offset 0` is a trick of the planner. Without it, PostgreSQL reads all applications, or all
# configurations of one, to join them with what is wanted, and merges the layers twice.
_MERGED = """
    with wanted as (
        select * from unnest(
            %(id)s::text[], %(application)s::text[], %(names)s::text[], %(optional)s::text[],
            %(known)s::text[]
        ) as wanted (id, application, names, optional, known)
    )
    select
        wanted.id, application.id as application_id, found.tag, found.opaque, found.missing,
        case
            when found.tag = wanted.known then null
            when cardinality(%(id)s::text[]) > 1 and found.bytes > 100000 then null
            else (
                select printed.body from (
                    select
                        coalesce(merge_layers(layer.config order by named.position), '{}')::text
                            as body
                    from jsonb_array_elements_text(wanted.names::jsonb)
                        with ordinality as named (name, position)
                    cross join lateral (
                        select configurations.config from configurations
                        where configurations.application_id = application.id
                        and configurations.name = named.name
                        offset 0
                    ) as layer
                    offset 0
                ) as printed
                where cardinality(%(id)s::text[]) = 1 or octet_length(printed.body) <= 100000
            )
        end as body
    from wanted
    cross join lateral (
        select applications.id from applications
        where applications.name = wanted.application
        and (%(confined_to)s::text is null
            or applications.id = (select confinement(%(confined_to)s)))
        offset 0
    ) as application
    cross join lateral (
        select
            md5(concat(
                'f', string_agg(layer.id || ' ' || layer.revision, ' ' order by named.position)
            )) as opaque,
            concat(string_agg(layer.id || ' ' || layer.stamp, ' ' order by named.position)) as tag,
            sum(pg_column_size(layer.config)) as bytes,
            (array_agg(named.name order by named.position) filter (
                where layer.id is null and not wanted.optional::jsonb ? named.name
            ))[1] as missing
        from jsonb_array_elements_text(wanted.names::jsonb)
            with ordinality as named (name, position)
        left join lateral (
            select configurations.* from configurations
            where configurations.application_id = application.id
            and configurations.name = named.name
            offset 0
        ) as layer on true
    ) as found
"""

_EXPLAINED = """
    select
        applications.id as application_id,
        md5(concat(
            't', string_agg(layer.id || ' ' || layer.revision, ' ' order by wanted.position)
        )) as opaque,
        (array_agg(wanted.name order by wanted.position) filter (
            where layer.id is null and wanted.name <> all(%(optional)s::text[])
        ))[1] as missing,
        explain_layers(
            array_agg(layer order by wanted.position) filter (where layer.id is not null)
        )::text as body
    from applications
    cross join unnest(%(names)s::text[]) with ordinality as wanted (name, position)
    left join configurations as layer
        on layer.application_id = applications.id and layer.name = wanted.name
    where applications.name = %(application)s
    and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
    group by applications.id
"""


_AT = """
    with application as (
        select applications.id from applications
        where applications.name = %(application)s
        and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
    ), point as (
        select point_in_time.*
        from application cross join lateral point_in_time(application.id, %(sequence)s, %(time)s)
    ), layers as (
        select
            wanted.position, wanted.name, named.name is not null as was_there, was,
            (was).id, (was).revision, (was).config
        from point cross join unnest(%(names)s::text[]) with ordinality as wanted (name, position)
        left join lateral (
            select had.configuration_id, had.name from application
            join configuration_names as had on had.application_id = application.id
            where had.name = wanted.name
            and had.since <= point.lost and had.until > point.sequence
        ) as named on true
        left join lateral configuration_at(
            named.configuration_id, point.sequence, point.lost
        ) as was on true
    )
    select
        application.id as application_id, point.sequence,
        (select bool_or(layers.was_there and layers.id is null) from layers) as is_trimmed,
        (
            select layers.name from layers
            where not layers.was_there and layers.name <> all(%(optional)s::text[])
            order by layers.position limit 1
        ) as missing,
        (
            select md5(concat(%(prefix)s::text, string_agg(
                layers.id || ' ' || layers.revision, ' ' order by layers.position
            )))
            from layers
        ) as opaque,
        (
            select case
                when %(explain)s then explain_layers(
                    array_agg(layers.was order by layers.position)
                        filter (where layers.id is not null)
                )
                else coalesce(merge_layers(layers.config order by layers.position), '{}')
            end::text
            from layers
        ) as body
    from application cross join point
"""


class NoSuchApplication(Exception):
    """No application that the caller may see has this name."""


@dataclass
class NoSuchLayer(Exception):
    """The application has no configuration of this name."""

    name: str


class InFuture(Exception):
    """The sequence or the time is yet to come."""


class Trimmed(Exception):
    """A layer was there then, and history does not have it any more."""


async def merge(
    application: str, names: list[str], optional: list[str], *, explain: bool
) -> database.Row:
    """The layers `names` of the application, merged from left to right (RFC 7396): the `body` as
    JSON text, its entity tag's `opaque` part, and the `application_id`.

    Raises NoSuchApplication, or NoSuchLayer for one that is missing and not `optional`.
    """
    if explain:
        values = {"application": application, "names": names, "optional": optional}
        rows = await database.read(_EXPLAINED, values)
        found = rows[0] if rows else None
    else:
        # In a batch each value becomes a list, and PostgreSQL has no lists of lists of unequal
        # length: so the names go as JSON.
        asked = {
            "application": application,
            "names": json.dumps(names),
            "optional": json.dumps(optional),
        }
        found = await database.read_batched(_MERGED, {"id": json.dumps(asked), **asked})
    if found is None:
        raise NoSuchApplication
    if found["missing"] is not None:
        raise NoSuchLayer(found["missing"])
    return found


async def merge_at(
    application: str, names: list[str], optional: list[str], at: str, *, explain: bool
) -> database.Row:
    """The layers as they were `at` a sequence or a time of the application, as `merge` gives them;
    and the `sequence` that this stands for. Raises NoSuchApplication, InFuture, NoSuchLayer or
    Trimmed."""
    rows = await database.read(
        _AT,
        {
            "application": application,
            "names": names,
            "optional": optional,
            "explain": explain,
            "prefix": "t" if explain else "f",
            **point(at),
        },
    )
    if not rows:
        raise NoSuchApplication
    [found] = rows
    if found["sequence"] is None:
        raise InFuture
    if found["missing"] is not None:
        raise NoSuchLayer(found["missing"])
    if found["is_trimmed"]:
        raise Trimmed
    return found
