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


def test_the_patch_turns_one_document_into_the_other(run: Repositories, configuration: str) -> None:
    assert run(repository.diff(configuration, 1, 2)) == (
        '[{"op": "replace", "path": "/a", "value": 1.0}, {"op": "add", "path": "/b", "value": 2}]'
    )
    assert json.loads(run(repository.diff(configuration, 2, 3))) == [{"op": "remove", "path": "/a"}]
    assert json.loads(run(repository.diff(configuration, 2, 2))) == []


@pytest.mark.parametrize(
    ("source", "target", "missing"), [(8, 1, 8), (1, 9, 9), (8, 9, 8), (9, 9, 9)]
)
def test_the_first_revision_that_is_missing_is_named(
    run: Repositories, configuration: str, source: int, target: int, missing: int
) -> None:
    with pytest.raises(repository.NotFound) as raised:
        run(repository.diff(configuration, source, target))
    assert raised.value.revision == missing


def test_a_confined_caller_sees_nothing_of_other_applications(
    run: Repositories, configuration: str
) -> None:
    with pytest.raises(repository.NotFound):
        run(repository.diff(configuration, 1, 2), confined_to="other")
    assert json.loads(run(repository.diff(configuration, 1, 2), confined_to="billing")) != []
