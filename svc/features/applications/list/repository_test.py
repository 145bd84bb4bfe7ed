from conftest import Repositories, Tables
from features.applications.list import repository


def test_a_page_begins_behind_an_id_and_ends_with_the_limit(
    run: Repositories, tables: Tables
) -> None:
    ids = sorted(tables.application(f"application {n}") for n in range(5))

    def page(after: str | None, limit: int) -> list[str]:
        return [row["id"] for row in run(repository.list_after(after, None, limit))]

    assert page(None, 1000) == ids
    assert page(None, 2) == ids[:2]
    assert page(ids[1], 2) == ids[2:4]
    assert page(ids[4], 2) == []
    assert page("0" * 26, 1) == ids[:1]


def test_a_row_has_what_a_list_shows(run: Repositories, tables: Tables) -> None:
    application = tables.application()
    row = {"id": application, "name": "billing", "comments": None}
    assert run(repository.list_after(None, None, 10)) == [row]


def test_a_name_is_found_exactly(run: Repositories, tables: Tables) -> None:
    application = tables.application("a_b%")
    tables.application("a_b")
    tables.application("A_B%")
    assert [row["id"] for row in run(repository.list_after(None, "a_b%", 10))] == [application]
    assert run(repository.list_after(application, "a_b%", 10)) == []


def test_a_confined_caller_sees_one_application_at_most(run: Repositories, tables: Tables) -> None:
    own, other = tables.application("own"), tables.application("other")
    for confined_to in (own, "own"):
        found = run(repository.list_after(None, None, 10), confined_to=confined_to)
        assert [row["id"] for row in found] == [own]
    assert run(repository.list_after(None, "other", 10), confined_to=own) == []
    assert run(repository.list_after(None, None, 10), confined_to="nothing") == []
    assert other != own
