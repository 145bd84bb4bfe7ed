from dataclasses import dataclass

import database


@dataclass
class NotFound(Exception):
    """The configuration has no such revision, or not any more."""

    revision: int


async def diff(id: str, source: int, target: int) -> str:
    """The JSON Patch that turns the document of revision `source` into that of `target`, as JSON
    text. Raises NotFound."""
    rows = await database.read(
        """
        -- `materialized` is for the planner: without it, where a token is confined, PostgreSQL may
        -- look for the two among all changes of the application.
        with revisions as materialized (
            select application_id, revision, config from configuration_revisions
            where configuration_id = %(id)s and revision in (%(source)s, %(target)s)
        ), visible as (
            select revision, config from revisions
            where %(confined_to)s::text is null or application_id = confinement(%(confined_to)s)
        ), documents as (
            select
                (select config from visible where revision = %(source)s) as source,
                (select config from visible where revision = %(target)s) as target
        )
        select source is not null as has_source, target is not null as has_target, (
            select coalesce(jsonb_agg(operation), '[]')::text
            from json_patch(source, target) as operation
            where source is not null and target is not null
        ) as patch
        from documents
        """,
        {"id": id, "source": source, "target": target},
    )
    if not rows[0]["has_source"]:
        raise NotFound(source)
    if not rows[0]["has_target"]:
        raise NotFound(target)
    patch: str = rows[0]["patch"]
    return patch
