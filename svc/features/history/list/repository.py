import database


class NotFound(Exception):
    """There is no such configuration, and there never was."""


async def list_before(id: str, before: int | None, limit: int) -> list[database.Row]:
    """At most `limit` revisions older than `before`, newest first:
    `revision`, `action`, `actor`, `recorded_at`, `name`. Raises NotFound."""
    rows = await database.read(
        """
        select page.* from (
            select from (
                select application_id from configuration_revisions
                where configuration_id = %(id)s order by revision limit 1
            ) as first
            where %(confined_to)s::text is null or application_id = confinement(%(confined_to)s)
        ) as known left join lateral (
            select revision, action, actor, recorded_at, name from configuration_revisions
            where configuration_id = %(id)s
            and (%(before)s::bigint is null or revision < %(before)s)
            order by revision desc limit %(limit)s
        ) as page on true
        """,
        {"id": id, "before": before, "limit": limit},
    )
    if not rows:
        raise NotFound
    return [row for row in rows if row["revision"] is not None]
