import json

import pytest

from conftest import Repositories, Tables
from features.content.get import repository

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
ENOUGH = 16 * 1024 * 1024
LARGE = json.dumps({"a": "x" * 150_000})


def test_the_body_has_all_configurations_by_name_to_the_last_digit(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    for name, config in (("ü", '{"rate": 1.10}'), ("a", "{}"), ("B", '{"b": 1, "a": null}')):
        tables.configuration(owner, name, config)
    tables.rows("update configurations set comments = 'it''s \"ours\"' where name = 'a'")
    tables.configuration(tables.application("other"), "of another")
    found = run(repository.get(owner, ENOUGH))
    assert found["sequence"] == 4
    assert found["body"] == (
        '{"sequence":4,"configurations":{'
        '"B":{"revision":1,"comments":null,"config":{"a": null, "b": 1}},'
        '"a":{"revision":2,"comments":"it\'s \\"ours\\"","config":{}},'
        '"ü":{"revision":1,"comments":null,"config":{"rate": 1.10}}}}'
    )


def test_names_are_in_code_point_order_and_escaped_as_json(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    names = ['"', "\\", "a", "b", "é", "\uffff", "😀"]
    for name in reversed(names):
        tables.configuration(owner, name)
    body = run(repository.get(owner, ENOUGH))["body"]
    assert list(json.loads(body)["configurations"]) == names


def test_an_application_without_configurations_has_none(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    found = run(repository.get(owner, ENOUGH))
    assert (found["sequence"], found["body"]) == (0, '{"sequence":0,"configurations":{}}')
    tables.configuration(owner)
    tables.rows("delete from configurations")
    found = run(repository.get(owner, ENOUGH))
    assert (found["sequence"], found["body"]) == (2, '{"sequence":2,"configurations":{}}')


def test_what_is_as_large_as_it_may_be_is_there_and_a_byte_more_is_left_out(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    for name in ("ü", "two"):
        tables.configuration(owner, name, LARGE)
    body = run(repository.get(owner, ENOUGH))["body"]
    size = len(body.encode())
    assert run(repository.get(owner, size))["body"] == body
    assert run(repository.get(owner, size - 1))["body"] == ""
    assert run(repository.get(owner, 1))["sequence"] == 2


@pytest.mark.parametrize(
    "change",
    [
        "update configurations set config = '{\"a\": 1.0}'",
        "update configurations set comments = 'new'",
        "update configurations set name = 'new'",
        "delete from configurations",
        "insert into configurations (id, application_id, name, config)"
        " select left(id, 20) || '000000', application_id, 'new', '{}' from configurations",
    ],
)
def test_whatever_changes_the_content_changes_the_tag(
    run: Repositories, tables: Tables, change: str
) -> None:
    owner = tables.application()
    tables.configuration(owner, config='{"a": 1}')
    before = run(repository.get(owner, ENOUGH))
    tables.rows("update configurations set config = config")
    tables.rows("update applications set name = 'renamed'")
    assert run(repository.get(owner, ENOUGH)) == before
    tables.rows(change)
    after = run(repository.get(owner, ENOUGH))
    assert (after["sequence"], after["tag"] != before["tag"]) == (2, True)
    assert after["body"] != before["body"]


def test_a_sequence_that_is_given_out_again_after_a_restore_has_another_tag(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    tables.configuration(owner)
    before = run(repository.get(owner, ENOUGH))
    tables.rows(
        "alter table configuration_revisions disable trigger configuration_revisions_keep_rows;"
        " update configuration_revisions set recorded_at = now();"
        " alter table configuration_revisions enable trigger configuration_revisions_keep_rows;"
        " alter table configurations disable trigger user;"
        " update configurations set config = '{\"a\": 2}';"
        " alter table configurations enable trigger user"
    )
    after = run(repository.get(owner, ENOUGH))
    assert (after["sequence"], after["tag"] != before["tag"]) == (1, True)
    assert '"config":{"a": 2}' in after["body"]


def test_what_is_not_there_or_not_the_callers_is_not_found(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    tables.configuration(owner)
    tables.application("other")
    with pytest.raises(repository.NotFound):
        run(repository.get(NOWHERE, ENOUGH))
    with pytest.raises(repository.NotFound):
        run(repository.get(owner, ENOUGH), confined_to="other")
    assert run(repository.get(owner, ENOUGH), confined_to="billing")["sequence"] == 1


def at(run: Repositories, id: str, moment: object, confined_to: str | None = None) -> str:
    """The body; the sequence that was meant stands in it."""
    caller = {} if confined_to is None else {"confined_to": confined_to}
    found = run(repository.get_at(id, str(moment), ENOUGH), "", False, **caller)
    assert json.loads(found["body"])["sequence"] == found["sequence"]
    body: str = found["body"]
    return body


def test_it_is_as_it_was_with_each_change_and_at_its_time(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    states = [run(repository.get(owner, ENOUGH))["body"]]
    for change in (
        "insert into configurations (id, application_id, name, config)"
        " select n || repeat('0', 25), id, 'c' || n, '{\"rate\": 1.10}'"
        " from applications cross join generate_series(1, 3) as n",
        "update configurations set comments = 'it''s ours' where name = 'c1'",
        "update configurations set name = 'ü' where name = 'c2'",
        "delete from configurations where name = 'c1'",
        "update configurations set name = 'c1' where name = 'c3'",
        "insert into configurations (id, application_id, name, config)"
        " select '1' || repeat('0', 25), id, 'c3', '{}' from applications",
        "delete from configurations",
    ):
        tables.rows(change)
        states.append(run(repository.get(owner, ENOUGH))["body"])
    sequences = [json.loads(state)["sequence"] for state in states]
    assert sequences == [0, 3, 4, 5, 6, 7, 8, 11]
    for sequence in range(12):
        expected = next(state for state in states if json.loads(state)["sequence"] >= sequence)
        assert at(run, owner, sequence) == expected
    times = tables.rows(
        "select rfc3339(max(recorded_at)) from configuration_revisions"
        " group by transaction_id order by max(sequence)"
    )
    assert [at(run, owner, time) for (time,) in times] == states[1:]
    assert at(run, owner, "2001-01-01T00:00:00Z") == states[0]


def test_the_future_is_refused(run: Repositories, tables: Tables) -> None:
    owner = tables.application()
    for moment in (1, 10**18 - 1, "2999-01-01T00:00:00Z"):
        with pytest.raises(repository.InFuture):
            at(run, owner, moment)


def test_what_was_as_large_as_it_may_be_is_there_and_a_byte_more_is_left_out(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    for name in ("ü", "two"):
        tables.configuration(owner, name, LARGE)
    tables.rows("delete from configurations")
    body = at(run, owner, 2)
    size = len(body.encode())
    assert run(repository.get_at(owner, "2", size))["body"] == body
    assert run(repository.get_at(owner, "2", size - 1))["body"] == ""


def test_what_history_has_trimmed_is_missed_and_nothing_else_is(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    tables.configuration(owner, "a")
    tables.configuration(owner, "b")
    tables.rows("set config_service.history_keep_revisions = 1")
    for change in ("set comments = 'x'", "set name = 'c'"):
        tables.rows(f"update configurations {change} where name = 'b'")
    tables.rows("reset config_service.history_keep_revisions")
    assert '"configurations":{}' in at(run, owner, 0)
    assert '"a":' in at(run, owner, 1)
    for sequence in (2, 3):
        with pytest.raises(repository.Trimmed):
            at(run, owner, sequence)
    assert at(run, owner, 4) == run(repository.get(owner, ENOUGH))["body"]


def test_what_was_is_only_for_who_may_see_the_application(
    run: Repositories, tables: Tables
) -> None:
    owner = tables.application()
    tables.application("other")
    for moment in (0, 9, "2999-01-01T00:00:00Z"):
        with pytest.raises(repository.NotFound):
            at(run, NOWHERE, moment)
        with pytest.raises(repository.NotFound):
            at(run, owner, moment, confined_to="other")
    assert at(run, owner, 0, confined_to="billing")
