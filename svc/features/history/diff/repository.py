from dataclasses import dataclass

import database


@dataclass
class NotFound(Exception):
    """There is no such `revision`; without one, no document at present. `is_other` says that it is
    missing in the other configuration."""

    revision: int | None
    is_other: bool


async def diff(id: str, source: int | None, other: str, target: int | None) -> str:
    """The JSON Patch that turns the document of revision `source` into that of `target`, which is a
    revision of `other`, as JSON text; None is for the present document. Raises NotFound."""
    rows = await database.read(
        """
        with documents as (
            select
                document_of(%(id)s, %(source)s, confined.to_application) as source,
                document_of(%(other)s, %(target)s, confined.to_application) as target
            from (
                select case
                    when %(confined_to)s::text is null then null
                    -- No application has an empty id.
                    else coalesce(confinement(%(confined_to)s), '')
                end as to_application
            ) as confined
        )
        select source is not null as has_source, target is not null as has_target, (
            select coalesce(jsonb_agg(operation), '[]')::text
            from json_patch(source, target) as operation
            where source is not null and target is not null
        ) as patch
        from documents
        """,
        {"id": id, "source": source, "other": other, "target": target},
    )
    if not rows[0]["has_source"]:
        raise NotFound(source, is_other=False)
    if not rows[0]["has_target"]:
        raise NotFound(target, is_other=other != id)
    patch: str = rows[0]["patch"]
    return patch
