import database


class NotFound(Exception):
    """There is no such configuration."""


async def get(id: str, known: int | None) -> database.Row:
    """Its `body`, the JSON text that PostgreSQL prints, and its `revision`.

    The body of the revision that is `known` may be None. Raises NotFound.
    """
    found = await database.read_batched(
        """
        select id, revision, case when id || revision = any(%(known)s) then null else (
            select row_to_json(answer)::text
            from (select id, application_id, name, comments, config) as answer
        ) end as body
        from configurations where id = any(%(id)s)
        and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
        """,
        {"id": id, "known": f"{id}{known}" if known else None},
    )
    if found is None:
        raise NotFound
    return found
