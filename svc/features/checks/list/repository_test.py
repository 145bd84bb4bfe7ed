from conftest import Repositories, Tables
from features.checks.list import repository
from wire.types import new_ulid


def test_a_page_has_what_is_behind_an_id_and_the_callers(run: Repositories, tables: Tables) -> None:
    made = dict[str, list[str]]()
    for name in ("billing", "other"):
        owner = tables.application(name)
        schema = tables.configuration(owner, "schema")
        made[owner] = sorted(new_ulid() for _ in range(3))
        for one in made[owner]:
            tables.rows(
                "insert into checks (id, application_id, schema_id, layers)"
                " values (%s, %s, %s, '{a}')",
                *(one, owner, schema),
            )
    billing, other = made
    ids = sorted(made[billing] + made[other])

    def listed(
        after: str | None, of: str | None, limit: int = 9, confined_to: str | None = None
    ) -> list[str]:
        caller = {} if confined_to is None else {"confined_to": confined_to}
        rows = run(repository.list_after(after, of, limit), "", False, **caller)
        return [row["id"] for row in rows]

    assert listed(None, None) == ids
    assert listed(ids[1], None, 2) == ids[2:4]
    assert listed(None, billing) == made[billing]
    assert listed(made[billing][0], billing, 1) == made[billing][1:2]
    assert listed(None, None, confined_to="other") == made[other]
    assert listed(None, billing, confined_to="other") == []
