import pytest

from conftest import Repositories, Tables
from features.applications.get import repository


def test_an_application_has_the_ids_of_its_configurations_ascending(
    run: Repositories, tables: Tables
) -> None:
    application, other = tables.application(), tables.application("other")
    tables.configuration(other)
    ids = sorted(tables.configuration(application, name) for name in "abc")
    assert run(repository.get(application)) == {
        "id": application,
        "name": "billing",
        "comments": None,
        "revision": 4,
        "configuration_ids": ids,
    }


def test_an_application_without_configurations_has_an_empty_list(
    run: Repositories, tables: Tables
) -> None:
    assert run(repository.get(tables.application()))["configuration_ids"] == []


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    application, other = tables.application(), tables.application("other")
    with pytest.raises(repository.NotFound):
        run(repository.get("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
    for confined_to in (other, "other", "nothing"):
        with pytest.raises(repository.NotFound):
            run(repository.get(application), confined_to=confined_to)
    for confined_to in (application, "billing"):
        assert run(repository.get(application), confined_to=confined_to)["id"] == application
