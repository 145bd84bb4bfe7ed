import database

# The revisions that one request reads: at most so many, and no more once their documents, as they
# are printed, have so many bytes. At least two, to compare them.
MOST_READ, MOST_BYTES = 500, 16 * 1024 * 1024

_VALUES = """
    -- One after the other: how much a compressed document is to read shows only when it is read.
    with recursive documents as (
        select newest.*, 1 as place, 0 as changes from (
            select
                revision, value_at(config, %(tokens)s::text[])::text as value,
                octet_length(config::text)::bigint as bytes
            from configuration_revisions
            where configuration_id = %(id)s
            and (%(before)s::bigint is null or revision < %(before)s)
            order by revision desc limit 1
        ) as newest
        union all
        select
            older.revision, older.value, documents.bytes + older.bytes, documents.place + 1,
            documents.changes + (older.value is distinct from documents.value)::int
        from documents cross join lateral (
            select
                revision, value_at(config, %(tokens)s::text[])::text as value,
                octet_length(config::text) as bytes
            from configuration_revisions
            where configuration_id = %(id)s and revision < documents.revision
            order by revision desc limit 1
        ) as older
        where documents.place < %(most_read)s
        and (documents.place < 2 or documents.bytes < %(most_bytes)s)
        -- One more than the page has tells that there are more.
        and documents.changes <= %(limit)s
    ), compared as (
        select
            documents.revision, documents.value,
            lead(documents.revision) over newest as revision_before,
            lead(documents.value) over newest as value_before
        from documents window newest as (order by documents.revision desc)
    ), changed as (
        select compared.revision, compared.value from compared
        where case
            when compared.revision_before is not null
                then compared.value is distinct from compared.value_before
            -- Before the first of all there was no value.
            else compared.revision = 1 and compared.value is not null
        end
        order by compared.revision desc limit %(limit)s + 1
    ), page as (
        select changed.* from changed order by changed.revision desc limit %(limit)s
    )
    select
        case
            when (select count(*) from changed) > %(limit)s then (select min(revision) from page)
            -- The last that was read has not been compared.
            when (select min(revision) from documents) > (
                select min(revision) from configuration_revisions where configuration_id = %(id)s
            ) then (select min(revision) + 1 from documents)
        end as before,
        (
            select '[' || coalesce(string_agg(
                left(row_to_json(item)::text, -1)
                    || coalesce(',"value":' || page.value, '') || '}',
                ',' order by page.revision desc
            ), '') || ']'
            from page cross join lateral (
                select revision, action, actor, rfc3339(recorded_at) as recorded_at, name, note
                from configuration_revisions
                where configuration_id = %(id)s and revision = page.revision
            ) as item
        ) as body
    from (
        -- By its history, because it may have been deleted.
        select application_id as id from configuration_revisions
        where configuration_id = %(id)s order by revision limit 1
    ) as owner
    where %(confined_to)s::text is null or owner.id = confinement(%(confined_to)s)
"""


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


async def list_changes_of(
    id: str, tokens: list[str], before: int | None, limit: int
) -> database.Row:
    """The revisions before `before`, newest first, in which the value at a JSON Pointer became
    another, compared as text: at most `limit` of those that one request reads.

    `tokens` are those of the pointer (RFC 6901 §3). The `body` is JSON text, and `before` says with
    which one to go on, if not all were read. Raises NotFound.
    """
    rows = await database.read(
        _VALUES,
        {
            "id": id,
            "tokens": tokens,
            "before": before,
            "limit": limit,
            "most_read": MOST_READ,
            "most_bytes": MOST_BYTES,
        },
    )
    if not rows:
        raise NotFound
    return rows[0]
