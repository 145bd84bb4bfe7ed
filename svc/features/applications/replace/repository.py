from psycopg2.errors import UniqueViolation

import database


class NotFound(Exception):
    """There is no such application."""


class NameTaken(Exception):
    """Another application has this name."""


async def replace(id: str, name: str, comments: str | None) -> database.Row:
    """The row as it is now: `id`, `name`, `comments`. Raises NotFound or NameTaken."""
    try:
        rows = await database.write(
            """
            update applications set name = %(name)s, comments = %(comments)s
            where id = %(id)s
            returning id, name, comments
            """,
            {"id": id, "name": name, "comments": comments},
        )
    except UniqueViolation as error:
        if error.diag.constraint_name == "applications_name_key":
            raise NameTaken from None
        raise
    if not rows:
        raise NotFound
    return rows[0]
