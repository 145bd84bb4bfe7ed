import pytest
from fastapi import Request

from wire.links import location, next_link

PATH = "/api/v1/things"


def request(**scope: str) -> Request:
    return Request({"type": "http", **scope})


def test_a_location_is_the_path_without_the_host() -> None:
    assert location(request(), PATH) == PATH


@pytest.mark.parametrize("prefix", ["", "/config", "/a/b"])
def test_a_location_and_a_link_begin_with_the_prefix_that_a_proxy_takes_off(prefix: str) -> None:
    behind_a_proxy = request(root_path=prefix)
    assert location(behind_a_proxy, PATH) == prefix + PATH
    assert next_link(behind_a_proxy, PATH, limit=2) == f'<{prefix}{PATH}?limit=2>; rel="next"'


def test_the_next_link_holds_what_is_given_percent_encoded() -> None:
    link = next_link(request(), PATH, name='a b&c>d"\u00e9', other=None, limit=2, after="Z")
    assert link == f'<{PATH}?name=a+b%26c%3Ed%22%C3%A9&limit=2&after=Z>; rel="next"'
