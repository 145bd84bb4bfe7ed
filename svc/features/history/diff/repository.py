import database


class NotFound(Exception):
    """There is no such revision: the exception's argument."""


async def diff(id: str, source: int, target: int) -> str:
    """The JSON Patch that turns the document of revision `source` into that of `target`, as JSON
    text. Raises NotFound."""
    rows = await database.read(
        """
        with found as materialized (
            select application_id, revision, config from configuration_revisions
            where configuration_id = %(id)s and revision in (%(source)s, %(target)s)
        ), revisions as (
            select revision, config from found
            where %(confined_to)s::text is null or application_id = confinement(%(confined_to)s)
        ), documents as (
            select
                (select config from revisions where revision = %(source)s) as source,
                (select config from revisions where revision = %(target)s) as target
        )
        select source is not null as source, target is not null as target, (
            select coalesce(jsonb_agg(operation), '[]')::text
            from json_patch(source, target) as operation
            where source is not null and target is not null
        ) as patch
        from documents
        """,
        {"id": id, "source": source, "target": target},
    )
    for name, revision in [("source", source), ("target", target)]:
        if not rows[0][name]:
            raise NotFound(revision)
    patch: str = rows[0]["patch"]
    return patch
