import pytest
from fastapi import Request

from wire.links import at_sequence, location, next_link

PATH = "/api/v1/things"


def request(**scope: object) -> Request:
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


def test_what_was_asked_for_at_a_time_is_the_same_request_with_the_sequence() -> None:
    query = b"name=z&name=a%2Fb%26&at=2026-01-02T03:04:05%2B02:00&explain=&name=%C3%A9"
    asked = request(
        root_path="/config",
        query_string=query,
        # Not a word of what a client says about the host counts.
        headers=[(b"host", b"a/b?at=7")],
    )
    assert at_sequence(asked, PATH, 46) == (
        f"/config{PATH}?name=z&name=a%2Fb%26&at=46&explain=&name=%C3%A9"
    )
