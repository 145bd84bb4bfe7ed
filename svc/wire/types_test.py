import re
import unicodedata
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from wire.documents import ObjectText
from wire.types import (
    Comments,
    ConfigDocument,
    Different,
    Name,
    Omissible,
    Pointer,
    RequestModel,
    Ulid,
    new_ulid,
    tokens,
)

ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"

a_ulid: TypeAdapter[str] = TypeAdapter(Ulid)
a_name: TypeAdapter[str] = TypeAdapter(Name)
comments: TypeAdapter[str] = TypeAdapter(Comments)
document: TypeAdapter[str] = TypeAdapter(ConfigDocument)
pointer: TypeAdapter[str] = TypeAdapter(Pointer)


def takes(adapter: TypeAdapter[str], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("text", [ID, "0" * 26, "7" + "Z" * 25])
def test_a_ulid_is_taken_in_either_case_and_given_in_upper_case(text: str) -> None:
    assert a_ulid.validate_python(text) == a_ulid.validate_python(text.lower()) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        ID[:-1],
        ID + "0",
        ID + "\n",
        " " + ID[1:],
        "8" + "0" * 25,
        *(ID[:-1] + letter for letter in "ILOUilou-_"),
        "\uff10" + ID[1:],
        "0198fe5e-22e4-4e1f-a4b7-36f085961da7",
        ID.encode(),
        1,
        -1,
        2**128,
        1.5,
        True,
        None,
        [ID],
    ],
)
def test_what_is_no_ulid_is_refused(value: object) -> None:
    assert not takes(a_ulid, value)


def test_a_new_ulid_is_a_ulid_in_upper_case_and_each_is_another() -> None:
    made = {new_ulid() for _ in range(1000)}
    assert len(made) == 1000
    assert {a_ulid.validate_python(one) for one in made} == made


@pytest.mark.parametrize("character", ["a", "é", "😀", "e\u0301"[1:]])
def test_a_name_has_1_to_256_code_points(character: str) -> None:
    assert takes(a_name, character)
    assert takes(a_name, character * 256)
    assert not takes(a_name, character * 257)
    assert not takes(a_name, "")


def test_a_name_has_no_control_character_and_no_white_space_at_its_ends() -> None:
    for point in (*range(0xD800), *range(0xE000, 0x11000), 0x1F600, 0xE0020, 0x10FFFF):
        character = chr(point)
        control = unicodedata.category(character) == "Cc"
        at_an_end = not (control or character.isspace())
        assert takes(a_name, f"a{character}b") is not control, hex(point)
        assert takes(a_name, f"{character}b") is at_an_end, hex(point)
        assert takes(a_name, f"a{character}") is at_an_end, hex(point)
        assert takes(a_name, character) is at_an_end, hex(point)


def test_a_name_is_given_back_as_it_came() -> None:
    for name in ("e\u0301", "\u00e9", "ﬁ", "A  b", "../x?y#z", "%00"):
        assert a_name.validate_python(name) == name


def test_the_published_pattern_of_a_name_is_the_one_that_is_checked() -> None:
    pattern = a_name.json_schema()["pattern"]
    for name in ("a", "a b", " a", "a\u3000", "a\tb", "\x85", "a\u2028b"):
        assert takes(a_name, name) is bool(re.fullmatch(pattern, name))


@pytest.mark.parametrize("value", [1, True, None, b"a", ["a"], ObjectText("{}")])
def test_a_name_and_comments_are_text(value: object) -> None:
    assert not takes(a_name, value)
    assert not takes(comments, value)


def test_comments_have_at_most_1024_code_points_of_any_kind() -> None:
    assert takes(comments, "")
    assert takes(comments, " line\n\tline ")
    assert takes(comments, "😀" * 1024)
    assert not takes(comments, "😀" * 1025)


def test_a_document_is_the_text_of_an_object() -> None:
    text = '{"b": 1.10, "a": 1e2}'
    assert document.validate_python(ObjectText(text)) == text


@pytest.mark.parametrize("value", [{}, {"a": 1}, "{}", [], None, 1, True])
def test_a_document_is_nothing_but_an_object_that_was_read_strictly(value: object) -> None:
    assert not takes(document, value)


class Sent(RequestModel):
    name: Omissible[Name] = None
    names: Omissible[list[Name]] = None


def test_a_list_of_different_ones_has_none_twice() -> None:
    names: TypeAdapter[list[str]] = TypeAdapter(Annotated[list[str], Different])
    assert names.validate_python(["a", "A", "b"]) == ["a", "A", "b"]
    assert names.validate_python([]) == []
    with pytest.raises(ValidationError, match="twice"):
        names.validate_python(["a", "b", "a"])


def test_a_member_that_may_be_left_out_is_none_then() -> None:
    assert Sent.model_validate({}).model_dump() == {"name": None, "names": None}
    assert Sent.model_validate({"name": "a"}).model_dump(exclude_unset=True) == {"name": "a"}


@pytest.mark.parametrize("member", ["name", "names"])
def test_a_member_that_may_be_left_out_is_refused_as_its_type_says_null_included(
    member: str,
) -> None:
    for value in (None, 7, " a"):
        with pytest.raises(ValidationError) as raised:
            Sent.model_validate({member: value})
        assert [error["loc"] for error in raised.value.errors()] == [(member,)]
    schema = TypeAdapter(Sent).json_schema()["properties"][member]
    assert schema["type"] == {"name": "string", "names": "array"}[member]


# RFC 6901, section 5, and what would be unescaped twice.
@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("/", [""]),
        ("//", ["", ""]),
        ("/foo", ["foo"]),
        ("/foo/0", ["foo", "0"]),
        ("/a~1b", ["a/b"]),
        ("/m~0n", ["m~n"]),
        ("/~01", ["~1"]),
        ("/~10", ["/0"]),
        ('/c%d/e^f/g|h/i\\j/k"l/ /é\n', ["c%d", "e^f", "g|h", "i\\j", 'k"l', " ", "é\n"]),
    ],
)
def test_a_pointer_is_made_of_tokens(text: str, parts: list[str]) -> None:
    assert pointer.validate_python(text) == text
    assert tokens(text) == parts


@pytest.mark.parametrize("value", ["a", "a/b", "#/a", "/a~", "/~2", "/a\0", " /a", "\n"])
def test_what_is_no_pointer_is_refused(value: str) -> None:
    assert not takes(pointer, value)
    assert not re.fullmatch(pointer.json_schema()["pattern"], value)


def test_a_pointer_is_read_in_time_that_grows_with_its_length() -> None:
    assert takes(pointer, "/a~0" * 20_000)
    assert not takes(pointer, "/a~0" * 20_000 + "~")
