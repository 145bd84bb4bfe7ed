import database

_PAGE = """
    with wanted as (
        select * from unnest(
            %(id)s::text[], %(application_id)s::text[], %(after)s::bigint[], %(limit)s::int[],
            %(known)s::text[]
        ) as wanted (id, application_id, after, rows, known)
    )
    select
        wanted.id, page.tag, coalesce(page.last, wanted.after) as next,
        case
            when page.tag = wanted.known then null
            -- A page of so many is large: a batch leaves it out.
            when page.rows > 200 and cardinality(%(id)s::text[]) > 1 then null
            else (
                select
                    '{"changes":['
                    || coalesce(string_agg(row_to_json(change)::text, ','), '')
                    || '],"next":' || coalesce(page.last, wanted.after) || '}'
                from (
                    select sequence, configuration_id, name, revision, action, actor,
                        rfc3339(recorded_at) as recorded_at, note,
                        max(sequence) over (
                            partition by coalesce(transaction_id, -sequence)
                        ) as transaction
                    from configuration_revisions
                    where application_id = wanted.application_id
                    and sequence > wanted.after and sequence <= page.last
                    order by sequence
                ) as change
            )
        end as body
    from wanted
    cross join lateral (
        select from applications
        where applications.id = wanted.application_id
        and (%(confined_to)s::text is null
            or applications.id = (select confinement(%(confined_to)s)))
        -- A trick of the planner: without it all applications may be read, to join them later.
        offset 0
    ) as application
    cross join lateral (
        select
            counted.rows, counted.last,
            -- Of one application no change is added but behind the last. So it is the same page
            -- where its last change is, by its time too (a restore to an earlier time gives
            -- sequences out again), and where none of it was trimmed.
            concat_ws(' ', counted.rows, counted.last, (
                select recorded_at from configuration_revisions
                where application_id = wanted.application_id and sequence = counted.last
            )) as tag
        from (
            select count(*) as rows, max(sequence) as last from configuration_revisions
            where application_id = wanted.application_id and sequence > wanted.after
            and sequence <= coalesce(
                -- No page ends within a transaction.
                end_of_transaction(wanted.application_id, (
                    select sequence from configuration_revisions
                    where application_id = wanted.application_id and sequence > wanted.after
                    order by sequence offset wanted.rows - 1 limit 1
                )),
                9223372036854775807
            )
        ) as counted
    ) as page
"""


class NotFound(Exception):
    """There is no such application."""


async def list_after(id: str, after: int, limit: int) -> database.Row:
    """At most `limit` changes of the application behind the sequence number `after`, ascending,
    and what was committed together with the last: the `body` as JSON text, and its `next`. Raises
    NotFound."""
    page = await database.read_batched(
        _PAGE,
        {"id": f"{id} {after} {limit}", "application_id": id, "after": after, "limit": limit},
    )
    if page is None:
        raise NotFound
    return page
