from psycopg2 import IntegrityError

import database
from wire.types import new_ulid


class NoSuchApplication(Exception):
    """`application_id` names no application that the caller may see."""


class NoSuchSchema(Exception):
    """`schema_id` names no configuration of this application."""


class TooMany(Exception):
    """The application has as many checks as it may have."""


async def create(
    application_id: str, schema_id: str, layers: list[str], optional: list[str]
) -> database.Row:
    """The new check. Raises NoSuchApplication, NoSuchSchema or TooMany."""
    try:
        rows = await database.write(
            """
            insert into checks (id, application_id, schema_id, layers, optional)
            select
                %(id)s, applications.id, %(schema_id)s, %(layers)s::text[], %(optional)s::text[]
            from applications
            where applications.id = %(application_id)s
            and (%(confined_to)s::text is null or applications.id = confinement(%(confined_to)s))
            returning id, application_id, schema_id, layers, optional
            """,
            {
                "id": new_ulid(),
                "application_id": application_id,
                "schema_id": schema_id,
                "layers": layers,
                "optional": optional,
            },
        )
    except IntegrityError as error:
        match error.diag.constraint_name:
            case "checks_application_id_fkey":
                raise NoSuchApplication from None
            case "checks_schema_id_fkey" | "checks_schema_of_application":
                raise NoSuchSchema from None
            case "checks_number":
                raise TooMany from None
        raise
    if not rows:
        raise NoSuchApplication
    return rows[0]
