from psycopg2.errors import UniqueViolation

import database
from wire.types import new_ulid


class NameTaken(Exception):
    """Another application has this name."""


async def create(name: str, comments: str | None) -> database.Row:
    """The new row: `id`, `name`, `comments`. Raises NameTaken."""
    try:
        rows = await database.write(
            """
            insert into applications (id, name, comments)
            values (%(id)s, %(name)s, %(comments)s)
            returning id, name, comments
            """,
            {"id": new_ulid(), "name": name, "comments": comments},
        )
    except UniqueViolation as error:
        if error.diag.constraint_name == "applications_name_key":
            raise NameTaken from None
        raise
    return rows[0]
