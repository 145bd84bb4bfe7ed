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
