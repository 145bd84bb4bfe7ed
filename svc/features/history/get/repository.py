import database


class NotFound(Exception):
    """There is no such revision."""


async def get(id: str, revision: int) -> str:
    """The configuration as it was, as JSON text. Raises NotFound."""
    rows = await database.read(
        """
        select row_to_json(answer)::text as body from (
            select configuration_id as id, application_id, name, comments, config,
                revision, action, actor, rfc3339(recorded_at) as recorded_at, note
            from configuration_revisions
            where configuration_id = %(id)s and revision = %(revision)s
            and (%(confined_to)s::text is null or application_id = confinement(%(confined_to)s))
        ) as answer
        """,
        {"id": id, "revision": revision},
    )
    if not rows:
        raise NotFound
    body: str = rows[0]["body"]
    return body
