import database

# A batch leaves out long texts, so that 100 configurations have at most 100 * 100,000 B = 10 MB.
# Of a document that is stored in more than 2,000 bytes the text is not even made for that: it is
# long most likely. Fewer bytes may have a long text too, because they are compressed, and because
# `1e308` is printed with 309 digits: its length tells.
_GET = """
    select configurations.id, configurations.revision, printed.body
    from unnest(%(id)s::text[], %(known)s::bigint[]) as wanted (id, known)
    join configurations on configurations.id = wanted.id
    left join lateral (
        select configuration_body(configurations) as body
        where configurations.revision is distinct from wanted.known
        and (cardinality(%(id)s::text[]) = 1 or pg_column_size(configurations.config) <= 2000)
        -- A trick of the planner: without it the text is made twice, the first time for its length.
        offset 0
    ) as printed on cardinality(%(id)s::text[]) = 1 or octet_length(printed.body) <= 100000
    where %(confined_to)s::text is null
    or configurations.application_id = confinement(%(confined_to)s)
"""


class NotFound(Exception):
    """There is no such configuration."""


async def get(id: str, known: int | None) -> database.Row:
    """Its `revision`, and its `body`: JSON text, or None where that is the revision `known`.

    Raises NotFound.
    """
    found = await database.read_batched(_GET, {"id": id, "known": known})
    if found and found["body"] is None and found["revision"] != known:
        # Alone now. Meanwhile it may have changed or gone: only this answer counts.
        rows = await database.read(_GET, {"id": [id], "known": [known]})
        found = rows[0] if rows else None
    if not found:
        raise NotFound
    return found
