import json
from collections.abc import Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

import database
from conftest import Repositories, Tables
from features.configurations.get import repository

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
LARGE = json.dumps({sha256(b"%d" % n).hexdigest(): n for n in range(4000)})  # does not compress
MEDIUM = json.dumps({sha256(b"%d" % n).hexdigest(): n for n in range(500)})
LONG = json.dumps({"a": "x" * 150_000})  # stored in less than 2,000 bytes, because it compresses
WIDE = f'{{"a": [{", ".join(["1e308"] * 3000)}]}}'  # stored in 1,000 bytes, printed in 930,000


def test_the_body_is_the_configuration_to_the_last_digit(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    configuration = tables.configuration(owner, config='{"rate": 1.10}')
    found = run(repository.get(configuration))
    assert found["revision"] == 1
    assert found["body"] == (
        f'{{"id":"{configuration}","application_id":"{owner}","name":"production",'
        '"comments":null,"config":{"rate": 1.10}}'
    )


@pytest.mark.parametrize(
    "change",
    [
        "update configurations set config = '{\"a\": 2}'",
        "update configurations set config = '{\"a\": 1.0}'",
        "update configurations set comments = 'new'",
    ],
)
def test_whatever_changes_the_body_changes_the_tag(
    run: Repositories, tables: Tables, change: str
) -> None:
    configuration = tables.configuration(tables.application(), config='{"a": 1}')
    before = run(repository.get(configuration))
    tables.rows("update configurations set config = config")
    assert run(repository.get(configuration)) == before
    tables.rows(change)
    after = run(repository.get(configuration))
    assert (after["revision"], after["tag"] != before["tag"]) == (2, True)
    assert after["body"] != before["body"]


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    configuration = tables.configuration(tables.application())
    with pytest.raises(repository.NotFound):
        run(repository.get(NOWHERE))
    with pytest.raises(repository.NotFound):
        run(repository.get(configuration), confined_to="other")
    assert run(repository.get(configuration), confined_to="billing")["id"] == configuration


def exactly(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def batch(
    run: Repositories, monkeypatch: pytest.MonkeyPatch, asked: Sequence[tuple[str, object]]
) -> list[database.Row]:
    """The rows of one batch, for each id with the tag that is known of it."""
    caught = list[str]()

    async def catch(sql: str, values: database.Values) -> database.Row:
        caught.append(sql)
        return {}

    with monkeypatch.context() as patched:
        patched.setattr(database, "read_batched", catch)
        run(repository.get(NOWHERE))
    ids, known = zip(*asked, strict=True)
    rows = run(database.read(caught[0], {"id": [*ids], "known": [*known]}))
    found = {row["id"]: row for row in rows}
    return [found[one] for one in ids if one in found]


@pytest.mark.parametrize(
    "config", ["{}", LARGE, LONG, WIDE], ids=["small", "large", "long", "wide"]
)
def test_a_body_is_left_out_where_its_tag_is_known(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    configuration = tables.configuration(tables.application(), config=config)
    tag = run(repository.get(configuration))["tag"]
    [row] = batch(run, monkeypatch, [(configuration, tag)])
    assert (row["tag"], row["body"]) == (tag, None)
    [row] = batch(run, monkeypatch, [(configuration, tag + 1)])
    assert exactly(row["body"])["config"] == exactly(config)


@pytest.mark.parametrize("config", [LARGE, LONG, WIDE], ids=["large", "long", "wide"])
def test_each_of_a_batch_gets_its_own_and_a_large_body_is_left_out(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    owner = tables.application()
    small, known = tables.configuration(owner, "a", '{"a": 1}'), tables.configuration(owner, "b")
    large = tables.configuration(owner, "c", config)
    tag = run(repository.get(known))["tag"]
    found = batch(run, monkeypatch, [(small, None), (known, tag), (large, None), (NOWHERE, None)])
    bodies = [row["body"] and exactly(row["body"])["config"] for row in found]
    assert bodies == [{"a": 1}, None, None]
    assert exactly(run(repository.get(large))["body"])["config"] == exactly(config)


def test_a_body_of_medium_size_stays_in_the_batch(
    run: Repositories, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = tables.application()
    asked = [(tables.configuration(owner, name, MEDIUM), None) for name in "ab"]
    found = batch(run, monkeypatch, asked)
    assert [json.loads(row["body"])["config"] for row in found] == [json.loads(MEDIUM)] * 2


def rename(tables: Tables, configuration: str, name: str) -> None:
    tables.rows("update configurations set name = %s where id = %s", name, configuration)


def at(
    run: Repositories, id: str, moment: object, confined_to: str | None = None
) -> tuple[int, str, int]:
    """The revision, the name, and the sequence that was meant."""
    caller = {} if confined_to is None else {"confined_to": confined_to}
    found = run(repository.get_at(id, str(moment)), "", False, **caller)
    return found["revision"], json.loads(found["body"])["name"], found["sequence"]


def test_it_is_as_it_was_with_each_change_of_its_application(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    one = tables.configuration(owner, "a", '{"rate": 1.10}')
    second = tables.configuration(owner, "b")
    then = run(repository.get(one))
    rename(tables, one, "c")
    rename(tables, second, "a")
    tables.rows("delete from configurations where id = %s", one)
    assert [at(run, one, n) for n in range(1, 5)] == [
        (1, "a", 1),
        (1, "a", 2),
        (2, "c", 3),
        (2, "c", 4),
    ]
    assert at(run, second, 4) == (2, "a", 4)
    assert run(repository.get_at(one, "2"))["body"] == then["body"]
    for gone in ((one, 0), (one, 5), (second, 1), (NOWHERE, 1)):
        with pytest.raises(repository.NotFound):
            at(run, *gone)
    with pytest.raises(repository.InFuture):
        at(run, one, 6)


def test_a_time_is_that_of_the_last_change_up_to_it(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    one = tables.configuration(owner, "a")
    rename(tables, one, "b")
    times = tables.rows(
        "select rfc3339(recorded_at) from configuration_revisions order by sequence"
    )
    assert [at(run, one, time) for (time,) in times] == [(1, "a", 1), (2, "b", 2)]
    with pytest.raises(repository.NotFound):
        at(run, one, "2001-01-01T00:00:00Z")
    with pytest.raises(repository.InFuture):
        at(run, one, "2999-01-01T00:00:00+15:59")


def test_what_history_has_trimmed_is_missed_where_it_was_there(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    tables.configuration(owner, "first")
    one = tables.configuration(owner, "a")
    tables.rows("set config_service.history_keep_revisions = 1")
    rename(tables, one, "b")
    tables.rows("reset config_service.history_keep_revisions")
    tables.rows("delete from configurations where id = %s", one)
    with pytest.raises(repository.NotFound):
        at(run, one, 1)
    with pytest.raises(repository.Trimmed):
        at(run, one, 2)
    assert at(run, one, 3) == (2, "b", 3)
    with pytest.raises(repository.NotFound):
        at(run, one, 4)


def test_what_was_is_only_for_who_may_see_the_application_and_as_long_as_that_is_there(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    one = tables.configuration(owner)
    tables.application("other")
    tables.rows("delete from configurations")
    for moment in (1, 9, "2999-01-01T00:00:00Z"):
        with pytest.raises(repository.NotFound):
            at(run, one, moment, confined_to="other")
    tables.rows("update applications set name = 'renamed' where id = %s", owner)
    assert at(run, one, 1, confined_to="renamed") == (1, "production", 1)
    tables.rows("delete from applications where id = %s", owner)
    for moment in (1, 9):
        with pytest.raises(repository.NotFound):
            at(run, one, moment)
