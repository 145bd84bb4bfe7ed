import database

# A batch leaves out the body where what is stored of the document has more than 2,000 bytes.
# PostgreSQL compresses at most some 90 to 1, and so a batch of 100 configurations brings at most
# 100 * 2,000 * 90 bytes = 18 MB, and hardly ever more than 1 MB.
_GET = """
    select configurations.id, configurations.revision, case
        when configurations.revision = wanted.known then null
        when cardinality(%(id)s::text[]) > 1 and pg_column_size(configurations.config) > 2000
            then null
        else configuration_body(configurations)
    end as body
    from unnest(%(id)s::text[], %(known)s::bigint[]) as wanted (id, known)
    join configurations on configurations.id = wanted.id
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
