import database
import migrations


async def migrated() -> bool:
    """Whether the database has every migration of this code."""
    rows = await database.read("select name from migrations")
    return not migrations.missing(row["name"] for row in rows)
