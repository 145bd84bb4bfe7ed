import json
import re

import pytest

from conftest import Repositories, Tables
from features.history.get import repository


def test_a_revision_is_the_configuration_as_it_was(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    configuration = tables.configuration(owner, config='{"rate": 1.10}')
    tables.rows("update configurations set name = 'staging', config = '{}'")
    body = run(repository.get(configuration, 1))
    assert '"config":{"rate": 1.10}' in body
    recorded_at = json.loads(body).pop("recorded_at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", recorded_at)
    assert json.loads(body) == {
        "id": configuration,
        "application_id": owner,
        "name": "production",
        "comments": None,
        "config": {"rate": 1.1},
        "revision": 1,
        "action": "create",
        "actor": "anonymous",
        "recorded_at": recorded_at,
        "note": None,
    }


def test_a_revision_says_why_where_that_was_said(run: Repositories, tables: Tables) -> None:
    configuration = tables.configuration(tables.application())
    tables.rows("set local config_service.note = 'why'; update configurations set name = 'staging'")
    notes = [json.loads(run(repository.get(configuration, n)))["note"] for n in (1, 2)]
    assert notes == [None, "why"]


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(repository.NotFound):
        run(repository.get(configuration, 2))
    with pytest.raises(repository.NotFound):
        run(repository.get("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1))
    with pytest.raises(repository.NotFound):
        run(repository.get(configuration, 1), confined_to="other")
    assert run(repository.get(configuration, 1), confined_to="billing")
