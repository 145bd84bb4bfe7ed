import database


class NotFound(Exception):
    """There is no such configuration, and there never was."""


async def list_before(id: str, before: int | None, limit: int) -> list[database.Row]:
    """At most `limit` revisions older than `before`, newest first:
    `revision`, `action`, `actor`, `recorded_at`, `name`, `note`. Raises NotFound."""
    rows = await database.read(
        """
        with page as (
            select revision, action, actor, rfc3339(recorded_at) as recorded_at, name,
                note
            from configuration_revisions
            where configuration_id = %(id)s
            and (%(before)s::bigint is null or revision < %(before)s)
            order by revision desc limit %(limit)s
        ), owner as (
            -- By its history, because it may have been deleted.
            select application_id as id from configuration_revisions
            where configuration_id = %(id)s order by revision limit 1
        )
        -- One row of nulls where the page is empty; none where there is nothing to be seen at all.
        select page.* from owner left join page on true
        where %(confined_to)s::text is null or owner.id = confinement(%(confined_to)s)
        order by page.revision desc
        """,
        {"id": id, "before": before, "limit": limit},
    )
    if not rows:
        raise NotFound
    return [row for row in rows if row["revision"] is not None]
