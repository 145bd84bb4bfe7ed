import database

# A batch leaves out a body where the document is stored in more than 2,000 bytes, because its text
# takes long to make and to send. It also leaves out a text of more than 100,000 bytes, because few
# stored bytes can become many: they are compressed, and `1e308` is printed in 309 digits. So the
# texts of a batch of 100 have together at most 100 * 100,000 B = 10 MB.
_GET = """
    select configurations.id, configurations.revision, printed.body
    from unnest(%(id)s::text[], %(known)s::bigint[]) as wanted (id, known)
    join configurations on configurations.id = wanted.id
    left join lateral (
        select configuration_body(configurations) as body
        where configurations.revision is distinct from wanted.known
        and (cardinality(%(id)s::text[]) = 1 or pg_column_size(configurations.config) <= 2000)
        -- A trick of the planner: without it each text is made twice, once for its length alone.
        offset 0
    ) as printed on cardinality(%(id)s::text[]) = 1 or octet_length(printed.body::text) <= 100000
    where %(confined_to)s::text is null
    or configurations.application_id = confinement(%(confined_to)s)
"""


class NotFound(Exception):
    """There is no such configuration."""


async def get(id: str, known: int | None) -> database.Row:
    """Its `revision`, and its `body`: JSON as bytes, or None where that is the revision `known`.

    Raises NotFound.
    """
    found = await database.read_batched(_GET, {"id": id, "known": known})
    if found and found["body"] is None and found["revision"] != known:
        # It was left out, so it is read alone. By now it may have changed or gone.
        rows = await database.read(_GET, {"id": [id], "known": [known]}, in_turn=True)
        found = rows[0] if rows else None
    if not found:
        raise NotFound
    return found
