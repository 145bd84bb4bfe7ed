from psycopg2.errors import UndefinedTable

import database
import migrations


async def migrated() -> bool:
    """Whether the database has every migration of this code."""
    try:
        rows = await database.read("select name from migrations")
    except UndefinedTable:
        return False
    return not migrations.missing(row["name"] for row in rows)
