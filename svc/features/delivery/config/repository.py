from dataclasses import dataclass

import database

# The two answers differ, and so do their entity tags: by the letter in front of the revisions.
_MERGED = """
    select
        applications.id as application_id,
        md5(concat(
            'f', string_agg(layer.id || ' ' || layer.revision, ' ' order by wanted.position)
        )) as opaque,
        (array_agg(wanted.name order by wanted.position) filter (
            where layer.id is null and wanted.name <> all(%(optional)s::text[])
        ))[1] as missing,
        coalesce(merge_layers(layer.config order by wanted.position), '{}')::text as body
    from applications
    cross join unnest(%(names)s::text[]) with ordinality as wanted (name, position)
    left join configurations as layer
        on layer.application_id = applications.id and layer.name = wanted.name
    where applications.name = %(application)s
    and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
    group by applications.id
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


class NoSuchApplication(Exception):
    """No application that the caller may see has this name."""


@dataclass
class NoSuchLayer(Exception):
    """The application has no configuration of this name."""

    name: str


async def merge(
    application: str, names: list[str], optional: list[str], *, explain: bool
) -> database.Row:
    """The layers `names` of the application, merged from left to right (RFC 7396): the `body` as
    JSON text, its entity tag's `opaque` part, and the `application_id`.

    Raises NoSuchApplication, or NoSuchLayer for one that is missing and not `optional`.
    """
    rows = await database.read(
        _EXPLAINED if explain else _MERGED,
        {"application": application, "names": names, "optional": optional},
    )
    if not rows:
        raise NoSuchApplication
    if rows[0]["missing"] is not None:
        raise NoSuchLayer(rows[0]["missing"])
    return rows[0]
