import json

import pytest

from conftest import Repositories, Tables
from features.history.diff import repository


@pytest.fixture
def configuration(tables: Tables) -> str:
    """A configuration whose revisions 1 to 3 differ."""
    made = tables.configuration(tables.application(), config='{"a": 1}')
    for config in ('{"a": 1.0, "b": 2}', '{"b": 2}'):
        tables.rows("update configurations set config = %s", config)
    return made


def diff(
    run: Repositories, id: str, source: int | None, target: int | None, other: str = ""
) -> object:
    """The operations that turn one document into the other."""
    return json.loads(run(repository.diff(id, source, other or id, target)))


def test_the_patch_turns_one_document_into_the_other(run: Repositories, configuration: str) -> None:
    assert run(repository.diff(configuration, 1, configuration, 2)) == (
        '[{"op": "replace", "path": "/a", "value": 1.0}, {"op": "add", "path": "/b", "value": 2}]'
    )
    assert diff(run, configuration, 2, 3) == [{"op": "remove", "path": "/a"}]
    assert diff(run, configuration, 2, 2) == []


def test_without_a_revision_it_is_the_present_document(
    run: Repositories, configuration: str
) -> None:
    assert diff(run, configuration, 2, None) == [{"op": "remove", "path": "/a"}]
    assert diff(run, configuration, None, 2) == [{"op": "add", "path": "/a", "value": 1.0}]
    assert diff(run, configuration, None, None) == []


def test_the_other_configuration_may_be_of_another_application(
    run: Repositories, tables: Tables, configuration: str
) -> None:
    other = tables.configuration(tables.application("other"), config='{"b": 3}')
    set_b = [{"op": "replace", "path": "/b", "value": 3}]
    assert diff(run, configuration, 3, 1, other) == set_b
    assert diff(run, configuration, None, None, other) == set_b
    with pytest.raises(repository.NotFound) as raised:
        diff(run, configuration, 3, 2, other)
    assert (raised.value.revision, raised.value.is_other) == (2, True)


@pytest.mark.parametrize(
    ("source", "target", "missing"), [(8, 1, 8), (1, 9, 9), (8, 9, 8), (9, 9, 9), (8, None, 8)]
)
def test_the_first_revision_that_is_missing_is_named(
    run: Repositories, configuration: str, source: int, target: int | None, missing: int
) -> None:
    with pytest.raises(repository.NotFound) as raised:
        diff(run, configuration, source, target)
    assert (raised.value.revision, raised.value.is_other) == (missing, False)


def test_what_is_deleted_has_revisions_and_no_present_document(
    run: Repositories, tables: Tables, configuration: str
) -> None:
    tables.rows("delete from applications")
    assert diff(run, configuration, 3, 4) == []
    for source, target in ((None, 4), (4, None)):
        with pytest.raises(repository.NotFound) as raised:
            diff(run, configuration, source, target)
        assert (raised.value.revision, raised.value.is_other) == (None, False)


@pytest.mark.parametrize("revision", [1, None])
def test_a_confined_caller_sees_nothing_of_other_applications(
    run: Repositories, tables: Tables, configuration: str, revision: int | None
) -> None:
    other = tables.configuration(tables.application("other"))
    for one, second, is_other in ((configuration, other, False), (other, configuration, True)):
        with pytest.raises(repository.NotFound) as raised:
            run(repository.diff(one, revision, second, revision), confined_to="other")
        assert (raised.value.revision, raised.value.is_other) == (revision, is_other)
    own = repository.diff(configuration, revision, configuration, 2)
    assert json.loads(run(own, confined_to="billing")) != []
