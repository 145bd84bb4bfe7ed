from pathlib import Path

from psycopg2.errors import UndefinedTable

import database

MIGRATIONS = [path.name for path in Path(__file__).parents[3].glob("migrations/*.sql")]


async def migrated() -> bool:
    """Whether the database has every migration of this code. One that has more is newer: while an
    upgrade rolls through the instances, the older ones serve on."""
    try:
        rows = await database.read(
            "select array_agg(name) @> %(names)s::text[] as migrated from migrations",
            {"names": MIGRATIONS},
        )
    except UndefinedTable:
        return False
    return rows[0]["migrated"] is True
