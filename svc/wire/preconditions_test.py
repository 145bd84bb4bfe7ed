from types import SimpleNamespace

import pytest
from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from wire.preconditions import EntityTags, Precondition, entity_tag, matches

entity_tags: TypeAdapter[list[str] | None] = TypeAdapter(EntityTags)


def read(*lines: str) -> list[str] | None:
    """The entity tags of a header that was sent in these lines."""
    return entity_tags.validate_python(list(lines))


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        (['"7"'], ['"7"']),
        (['W/"7"'], ['W/"7"']),
        (['""'], ['""']),
        (['"a","b"'], ['"a"', '"b"']),
        (['"a" \t,\t W/"b"'], ['"a"', 'W/"b"']),
        ([' "a" '], ['"a"']),
        (['"a"', 'W/"b", "c"'], ['"a"', 'W/"b"', '"c"']),
        (['"a,b", "*"'], ['"a,b"', '"*"']),
        (['"!#~\x80\xff"'], ['"!#~\x80\xff"']),
    ],
)
def test_a_header_is_a_list_of_entity_tags_on_one_line_or_more(
    lines: list[str], tags: list[str]
) -> None:
    assert read(*lines) == tags


@pytest.mark.parametrize("line", [',"a",', ', , "a"', '"a",,, "b"', '"a" , \t,"b",', ' ,"a", "b"'])
def test_an_element_of_the_list_may_be_empty(line: str) -> None:
    assert read(line) == (['"a"', '"b"'] if "b" in line else ['"a"'])


@pytest.mark.parametrize("line", ["*", " *\t"])
def test_a_star_stands_for_any_tag(line: str) -> None:
    assert read(line) == ["*"]


@pytest.mark.parametrize(
    "lines",
    [
        *([""], [" "], [","], [", ,"], ["7"], ['"7'], ['7"'], ['"'], ["'7'"], ["W/7"], ["W/"]),
        *(['w/"7"'], ['W"7"'], ['W/ "7"'], ['"a" "b"'], ['"a""b"'], ['"a";"b"'], ['"a b"']),
        *(['"a"b'], ['"a", b'], ['"a", "b'], ['"a\x7f"'], ['"\u0100"'], ['"a"\n'], ['"a\0"']),
        *(["**"], ["*, *"], ['*, "a"'], ['"a", *'], ["*", "*"], ['"a', 'b"'], ["\0"]),
    ],
)
def test_what_is_no_list_of_entity_tags_is_refused(lines: list[str]) -> None:
    with pytest.raises(ValidationError, match="list of entity tags"):
        read(*lines)


def test_a_header_that_is_not_sent_has_no_tags() -> None:
    assert entity_tags.validate_python(None) is None


def test_an_entity_tag_is_strong_and_names_the_revision() -> None:
    assert entity_tag(7) == '"7"'


@pytest.mark.parametrize("tags", [['"7"'], ['W/"7"'], ['"6"', 'W/"7"'], ["*"]])
def test_if_none_match_matches_by_the_weak_comparison(tags: list[str]) -> None:
    assert matches(tags, '"7"')


@pytest.mark.parametrize("tags", [None, ['"6"'], ['"77"', 'W/"*"']])
def test_if_none_match_matches_no_other_tag(tags: list[str] | None) -> None:
    assert not matches(tags, '"7"')


def precondition(if_match: list[str] | None, *, required: bool = False) -> Precondition:
    """That of a request to a service whose REQUIRE_IF_MATCH is `required`."""
    settings = SimpleNamespace(require_if_match=required)
    app = SimpleNamespace(state=SimpleNamespace(settings=settings))
    return Precondition.of(Request({"type": "http", "app": app}), if_match)


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(
    ("if_match", "revisions"),
    [
        (["*"], None),
        (['"7"'], [7]),
        (['"7"', '"8"'], [7, 8]),
        (['W/"7"'], []),
        (['"a"', '"07"', '"00"', '"-1"', '"7"'], [7]),
        (['"0"'], [0]),  # an application's content before its first change
        (['"' + "9" * 19 + '"'], []),
    ],
)
def test_if_match_names_the_revisions_by_the_strong_comparison(
    if_match: list[str], revisions: list[int] | None, required: bool
) -> None:
    demanded = precondition(if_match, required=required)
    assert demanded.revisions == revisions
    assert demanded.is_given
    assert demanded.refusal(None).status_code == 412


def test_without_if_match_any_revision_will_do() -> None:
    demanded = precondition(None)
    assert demanded.revisions is None
    assert not demanded.is_given


def test_without_if_match_no_revision_will_do_where_it_is_required() -> None:
    demanded = precondition(None, required=True)
    assert demanded.revisions == []
    assert not demanded.is_given
    assert demanded.refusal(None).status_code == 428


def test_a_refusal_tells_the_current_revision_if_there_is_one() -> None:
    for demanded in (precondition(['"7"']), precondition(None, required=True)):
        assert demanded.refusal(8).headers == {"ETag": '"8"'}
        assert demanded.refusal(0).headers == {"ETag": '"0"'}
        assert not demanded.refusal(None).headers
