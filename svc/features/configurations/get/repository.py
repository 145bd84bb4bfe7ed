import database

# A batch leaves out a text of more than 100,000 bytes, which takes long to make and to send: so the
# texts of a batch of 100 have together at most some 100 * 100,000 B = 10 MB. What is stored in more
# is not even printed. Few bytes can become many: a number of 12 is printed in up to 309, and what
# is compressed may be 90 times as long; only 3,800 that are not compressed cannot exceed 100,000.
# What is known is looked up by the place of the id: a join with the two lists takes a fifth longer.
_GET = """
    select configurations.id, configurations.revision, case
        when configurations.revision =
            (%(known)s::bigint[])[array_position(%(id)s::text[], configurations.id)] then null
        when cardinality(%(id)s::text[]) = 1 then configuration_body(configurations)
        when pg_column_size(configurations.config) > 100000 then null
        when pg_column_size(configurations.config) <= 3800
            and pg_column_compression(configurations.config) is null
            then configuration_body(configurations)
        else (
            select printed.body from (
                select configuration_body(configurations) as body
                -- A trick of the planner: without it the text is made twice, once for its length.
                offset 0
            ) as printed
            where octet_length(printed.body) <= 100000
        )
    end as body
    from configurations
    where configurations.id = any(%(id)s::text[])
    and (%(confined_to)s::text is null
        or configurations.application_id = confinement(%(confined_to)s))
"""


class NotFound(Exception):
    """There is no such configuration."""


async def get(id: str, known: int | None) -> database.Row:
    """Its `revision`, and its `body`: JSON text, or None where that is the revision `known`.

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
