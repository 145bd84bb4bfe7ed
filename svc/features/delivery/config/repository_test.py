import json
from typing import Any

import pytest

from conftest import Repositories, Tables
from features.delivery.config import repository

LAYERS = {
    "defaults": '{"rates": {"standard": 1.10, "low": 1}, "list": [1], "same": null}',
    "eu": '{"rates": {"low": 2}, "list": [2], "currency": "EUR"}',
    "test": '{"rates": null, "currency": {"code": "XXX"}}',
}


@pytest.fixture
def owner(tables: Tables) -> str:
    """An application with the layers, and another with a layer of a name that it has not."""
    made, other = tables.application(), tables.application("other")
    for name, config in LAYERS.items():
        tables.configuration(made, name, config)
    tables.configuration(other, "us", "{}")
    return made


def merge(
    run: Repositories, *names: str, explain: bool = False, optional: tuple[str, ...] = ()
) -> Any:
    return run(repository.merge("billing", [*names], [*optional], explain=explain))


def test_layers_are_merged_from_left_to_right_to_the_last_digit(
    run: Repositories, owner: str
) -> None:
    assert merge(run, "defaults")["body"] == (
        '{"list": [1], "same": null, "rates": {"low": 1, "standard": 1.10}}'
    )
    assert merge(run, "defaults", "eu")["body"] == (
        '{"list": [2], "same": null, "rates": {"low": 2, "standard": 1.10}, "currency": "EUR"}'
    )
    assert json.loads(merge(run, "eu", "test")["body"]) == {
        "list": [2],
        "currency": {"code": "XXX"},
    }
    assert merge(run, "eu")["application_id"] == owner


@pytest.mark.parametrize(
    ("names", "origin"),
    [
        (["eu"], {"rates": ["eu"], "list": ["eu"], "currency": ["eu"]}),
        (
            ["defaults", "eu"],
            {"rates": ["defaults", "eu"], "list": ["eu"], "same": ["defaults"], "currency": ["eu"]},
        ),
        (["eu", "test"], {"list": ["eu"], "currency": ["test"]}),
        (
            ["defaults", "test", "eu"],
            {"rates": ["eu"], "list": ["eu"], "same": ["defaults"], "currency": ["eu"]},
        ),
        (
            ["test", "defaults", "eu", "test", "defaults", "eu"],
            {"rates": ["defaults", "eu"], "list": ["eu"], "same": [], "currency": ["eu"]},
        ),
    ],
)
@pytest.mark.usefixtures("owner")
def test_an_explanation_has_the_layers_that_made_each_value(
    run: Repositories, names: list[str], origin: dict[str, list[str]]
) -> None:
    explained = json.loads(merge(run, *names, explain=True)["body"])
    assert explained["config"] == json.loads(merge(run, *names)["body"])
    found = {key: [one["name"] for one in layers] for key, layers in explained["origin"].items()}
    assert found == {key: layers for key, layers in origin.items() if layers}


@pytest.mark.usefixtures("owner")
def test_an_origin_has_the_revision_of_its_layer(run: Repositories, tables: Tables) -> None:
    tables.rows("update configurations set config = '{\"a\": 1}' where name = 'eu'")
    explained = json.loads(merge(run, "eu", explain=True)["body"])
    assert explained["origin"] == {"a": [{"name": "eu", "revision": 2}]}


@pytest.mark.usefixtures("owner")
def test_the_opaque_tag_is_of_these_layers_at_these_revisions_in_this_order(
    run: Repositories, tables: Tables
) -> None:
    def tags() -> list[str]:
        return [
            merge(run, "eu")["opaque"],
            merge(run, "eu", "test")["opaque"],
            merge(run, "test", "eu")["opaque"],
            merge(run, "eu", explain=True)["opaque"],
        ]

    before = tags()
    assert tags() == before
    tables.rows("update configurations set comments = 'new' where name = 'eu'")
    assert len({*before, *tags()}) == 8


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("explain", [True, False])
def test_the_first_layer_that_is_missing_and_not_optional_is_named(
    run: Repositories, explain: bool
) -> None:
    for name in ("us", "it's"):
        with pytest.raises(repository.NoSuchLayer) as raised:
            merge(run, "eu", "nowhere", name, "gone", optional=("nowhere",), explain=explain)
        assert raised.value.name == name


@pytest.mark.usefixtures("owner")
def test_where_no_layer_is_left_the_document_is_empty(run: Repositories) -> None:
    assert merge(run, "us", optional=("us",))["body"] == "{}"
    explained = merge(run, "us", optional=("us",), explain=True)["body"]
    assert json.loads(explained) == {"config": {}, "origin": {}}


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("explain", [True, False])
def test_what_is_not_there_or_not_the_callers_is_no_application(
    run: Repositories, explain: bool
) -> None:
    with pytest.raises(repository.NoSuchApplication):
        run(repository.merge("nowhere", ["eu"], [], explain=explain))
    with pytest.raises(repository.NoSuchApplication):
        run(repository.merge("billing", ["eu"], [], explain=explain), confined_to="other")
    assert run(repository.merge("billing", ["eu"], [], explain=explain), confined_to="billing")


def merge_at(
    run: Repositories,
    moment: object,
    *names: str,
    explain: bool = False,
    optional: tuple[str, ...] = (),
) -> Any:
    asked = repository.merge_at("billing", [*names], [*optional], str(moment), explain=explain)
    return run(asked)


def answered(found: Any) -> tuple[str, str]:
    return found["opaque"], found["body"]


@pytest.mark.parametrize("explain", [True, False])
def test_the_layers_are_as_they_were_and_so_is_the_tag(
    run: Repositories, tables: Tables, owner: str, explain: bool
) -> None:
    def now(*names: str) -> tuple[str, str]:
        return answered(merge(run, *names, optional=names[1:], explain=explain))

    def then(moment: int, *names: str) -> tuple[str, str]:
        return answered(merge_at(run, moment, *names, optional=names[1:], explain=explain))

    asked = ("defaults", "nowhere", "eu", "test")
    before = [now(*asked)]
    for change in (
        "update configurations set config = '{\"rates\": {\"low\": 3.0}}' where name = 'defaults'",
        "delete from configurations where name = 'eu'",
    ):
        tables.rows(change)
        before.append(now(*asked))
    tables.rows("update configurations set name = 'eu' where name = 'defaults'")
    tables.rows("update configurations set name = 'defaults' where name = 'test'")
    assert [then(moment, *asked) for moment in (3, 4, 5)] == before
    assert len(set(before)) == 3
    assert then(7, "eu", "defaults") == now("eu", "defaults")
    assert merge_at(run, 7, "eu")["sequence"] == 7


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("explain", [True, False])
def test_where_no_layer_was_left_the_document_was_empty(run: Repositories, explain: bool) -> None:
    now = answered(merge(run, "us", optional=("us",), explain=explain))
    for moment in (0, 3):
        assert answered(merge_at(run, moment, "us", optional=("us",), explain=explain)) == now


def test_a_layer_that_was_missing_then_is_named(
    run: Repositories, tables: Tables, owner: str
) -> None:
    tables.rows("update configurations set name = 'us' where name = 'test'")
    for moment, name in ((3, "us"), (4, "test"), (1, "eu"), (0, "defaults")):
        with pytest.raises(repository.NoSuchLayer) as raised:
            merge_at(run, moment, "nowhere", "defaults", name, "gone", optional=("nowhere",))
        assert raised.value.name == name
    times = tables.rows("select rfc3339(max(recorded_at)) from configuration_revisions")
    assert merge_at(run, times[0][0], "us")["sequence"] == 4


@pytest.mark.usefixtures("owner")
def test_the_future_is_refused(run: Repositories) -> None:
    for moment in (4, "2999-01-01T00:00:00Z"):
        with pytest.raises(repository.InFuture):
            merge_at(run, moment, "eu", "nowhere")


@pytest.mark.usefixtures("owner")
def test_what_history_has_trimmed_is_missed_where_it_was_a_layer(
    run: Repositories, tables: Tables
) -> None:
    tables.rows("set config_service.history_keep_revisions = 1")
    tables.rows("update configurations set comments = 'x' where name = 'eu'")
    tables.rows("reset config_service.history_keep_revisions")
    for optional in ((), ("eu",)):
        with pytest.raises(repository.Trimmed):
            merge_at(run, 3, "defaults", "eu", optional=optional)
    with pytest.raises(repository.NoSuchLayer):
        merge_at(run, 3, "eu", "nowhere")
    assert merge_at(run, 3, "defaults", "test")["body"] == merge(run, "defaults", "test")["body"]
    assert merge_at(run, 4, "eu")["body"] == merge(run, "eu")["body"]


def test_the_application_goes_by_its_present_name_and_only_to_who_may_see_it(
    run: Repositories, tables: Tables, owner: str
) -> None:
    tables.rows("update applications set name = 'renamed' where id = %s", owner)
    tables.application("billing")
    with pytest.raises(repository.NoSuchLayer):
        merge_at(run, 0, "eu")
    renamed = repository.merge_at("renamed", ["eu"], [], "3", explain=False)
    assert run(renamed, confined_to="renamed")["application_id"] == owner
    for moment in ("3", "9"):
        for name in ("renamed", "nowhere"):
            asked = repository.merge_at(name, ["eu"], [], moment, explain=False)
            with pytest.raises(repository.NoSuchApplication):
                run(asked, confined_to="other")
