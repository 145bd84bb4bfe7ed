import pytest
from fastapi.exceptions import RequestValidationError

from wire.documents import Location, ObjectText, read_object


def faults(body: str | bytes) -> list[tuple[Location, str]]:
    with pytest.raises(RequestValidationError) as refusal:
        read_object(body if isinstance(body, bytes) else body.encode())
    errors = refusal.value.errors()
    assert {error["loc"][0] for error in errors} == {"body"}
    return [(error["loc"][1:], error["msg"]) for error in errors]


def texts(body: str) -> dict[str, str]:
    """The texts of the body's members, each of which is an object."""
    return {name: member.text for name, member in read_object(body.encode()).items()}


def test_members_keep_their_types() -> None:
    body = '{"s": "a", "i": 12, "f": 1.5, "t": true, "n": null, "l": [1, "b", {}], "o": {}}'
    assert read_object(body.encode()) == {
        "s": "a",
        "i": 12,
        "f": 1.5,
        "t": True,
        "n": None,
        "l": [1, "b", {}],
        "o": {},
    }


@pytest.mark.parametrize("body", ["{}", " {} ", "\t\r\n{\n}\r\n"])
def test_an_object_may_be_empty_and_stand_in_white_space(body: str) -> None:
    assert read_object(body.encode()) == {}


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{ }",
        '{"b":1,"a":2}',
        '{\r\n\t"a" :\n[ 1 ,{ } ]\t}',
        '{"a": 1.10, "b": 1e2, "c": -0.0, "d": 1E+2}',
        '{"a": 12345678901234567890, "b": 0.12345678901234567890}',
        r'{"\u0061": "\/\ud83d\ude00é😀", "}": "\"}"}',
    ],
)
def test_the_text_of_an_object_member_is_given_back_byte_for_byte(text: str) -> None:
    body = f'  {{ "x" : 1 , "config" : {text} , "y": {text}}}\n'
    members = read_object(body.encode())
    assert members["config"].text == members["y"].text == text


def test_the_text_of_an_object_member_comes_with_what_it_means() -> None:
    member = read_object(b'{"o": {"a": [1, {}], "b": {"c": "d"}}}')["o"]
    assert isinstance(member, ObjectText)
    assert member == {"a": [1, {}], "b": {"c": "d"}}


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-0.0",
        "1.10",
        "12345678901234567890",
        "0.12345678901234567890",
        "1.7976931348623157e308",
        "-1.7976931348623157E+308",
        "17976931348623157" + "0" * 292,
        "1e-308",
        "-1.0e-308",
        "0." + "0" * 307 + "1",
        "0e400",
        "0e-399",
        "0." + "1" * 399,
        "123." + "1" * 397,
        "1" * 300 + "." + "1" * 100,
        "1." + "1" * 389 + "e-10",
    ],
)
def test_a_number_up_to_the_limits_is_taken_as_it_was_written(number: str) -> None:
    text = f'{{"a": [{number}]}}'
    assert texts(f'{{"config": {text}}}') == {"config": text}


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("NaN", "not a JSON number"),
        ("Infinity", "not a JSON number"),
        ("-Infinity", "not a JSON number"),
        ("1.7976931348623158e308", "larger than"),
        ("-1.7976931348623158e308", "larger than"),
        ("17976931348623157" + "0" * 291 + "1", "larger than"),
        ("1" + "0" * 309, "larger than"),
        ("1" * 5000, "larger than"),
        ("1e309", "larger than"),
        ("1e400", "larger than"),
        ("-1E400", "larger than"),
        ("9.9e-309", "closer to zero"),
        ("-1e-400", "closer to zero"),
        ("0." + "0" * 308 + "1", "closer to zero"),
        ("0." + "1" * 400, "more than 400 digits"),
        ("123." + "1" * 398, "more than 400 digits"),
        ("1" * 300 + "." + "1" * 101, "more than 400 digits"),
        ("1." + "1" * 390 + "e-10", "more than 400 digits"),
        ("0e-400", "more than 400 digits"),
        ("1e99999999999999999999", "out of range"),
        ("1e-99999999999999999999", "out of range"),
    ],
)
def test_a_number_beyond_a_limit_is_refused_where_it_stands(number: str, reason: str) -> None:
    [(where, said)] = faults(f'{{"config": {{"a": [0, {number}]}}}}')
    assert where == ("config", "a", 1)
    assert reason in said


@pytest.mark.parametrize("number", ["NaN", "1e400", "1e-400", "0." + "1" * 400])
def test_a_number_is_refused_outside_the_document_too(number: str) -> None:
    assert [where for where, _ in faults(f'{{"name": {number}}}')] == [("name",)]


UNSTORABLE = [
    r"\u0000",
    r"a\u0000b",
    r"\ud800",
    r"\uDFFF",
    r"\ude00\ud83d",
    r"\ud83d\u0041",
    r"\ud83d\ud83d\ude00",
]


@pytest.mark.parametrize("text", UNSTORABLE)
@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{{"name": "{}"}}', ("name",)),
        ('{{"config": {{"a": ["", "{}"]}}}}', ("config", "a", 1)),
    ],
)
def test_nul_and_lone_surrogates_in_a_value_are_refused(
    text: str, body: str, where: Location
) -> None:
    assert faults(body.format(text)) == [(where, "This holds a NUL character or a lone surrogate")]


@pytest.mark.parametrize("text", UNSTORABLE)
@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{{"{}": 1}}', ()),
        ('{{"config": {{"a": [{{"{}": "fine"}}]}}}}', ("config", "a", 0)),
    ],
)
def test_a_key_with_nul_or_a_lone_surrogate_is_refused_at_its_object(
    text: str, body: str, where: Location
) -> None:
    reason = "This has a key with a NUL character or a lone surrogate"
    assert faults(body.format(text)) == [(where, reason)]


@pytest.mark.parametrize(
    "text", [r"\ud83d\ude00", "😀", r"\\u0000", r"\\ud800", "\x7f\ufffe\U0010ffff"]
)
def test_what_only_looks_unstorable_is_taken(text: str) -> None:
    document = f'{{"{text}": "{text}"}}'
    assert texts(f'{{"config": {document}}}') == {"config": document}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"name": 1, "name": 1}', ("name",)),
        (r'{"name": 1, "n\u0061me": 2}', ("name",)),
        ('{"config": {"a": 1}, "config": {"a": 1}}', ("config",)),
        ('{"config": {"a": 1, "b": 2, "c": 3, "b": 2}}', ("config", "b")),
        ('{"config": {"a": [{"": 1, "": 2}]}}', ("config", "a", 0, "")),
    ],
)
def test_a_key_that_is_twice_in_one_object_is_refused(body: str, where: Location) -> None:
    assert faults(body) == [(where, "This is there twice")]


def test_a_key_may_be_in_two_objects() -> None:
    text = '{"a": {"a": [{"a": 1}, {"a": 1}]}}'
    assert texts(f'{{"a": {text}}}') == {"a": text}


@pytest.mark.parametrize("key", [r"\u0000", r"\ud800"])
def test_no_location_holds_a_key_that_cannot_be_sent_back(key: str) -> None:
    for where, _ in faults(f'{{"config": {{"{key}": 1, "{key}": 2}}}}'):
        assert where == ("config",)


def nested(levels: int, opening: str, closing: str) -> str:
    """A document of this many levels, the first of which is the object itself."""
    return f'{{"config": {{"a": {opening * (levels - 1)}1{closing * (levels - 1)}}}}}'


NESTINGS = [("[", "]"), ('{"a": ', "}")]


@pytest.mark.parametrize(("opening", "closing"), NESTINGS)
def test_64_levels_are_taken(opening: str, closing: str) -> None:
    body = nested(64, opening, closing)
    assert texts(body) == {"config": body[11:-1]}


@pytest.mark.parametrize("levels", [65, 990, 6000])
@pytest.mark.parametrize(("opening", "closing"), NESTINGS)
def test_the_65th_level_is_refused_where_it_begins(opening: str, closing: str, levels: int) -> None:
    [(where, reason)] = faults(nested(levels, opening, closing))
    assert where == ("config", "a", *["a" if "a" in opening else 0] * 63)
    assert reason == "This is nested deeper than 64 levels"


@pytest.mark.parametrize(("opening", "closing"), NESTINGS)
@pytest.mark.parametrize("closed", [True, False])
def test_nesting_of_100_000_levels_is_refused(opening: str, closing: str, closed: bool) -> None:
    body = nested(100_000, opening, closing if closed else "")
    assert [reason for _, reason in faults(body)] == ["This is nested deeper than 64 levels"]


def test_depth_counts_levels_and_not_members() -> None:
    text = '{"a": [' + ", ".join(["[[]]"] * 200) + "]}"
    assert texts(f'{{"config": {text}}}') == {"config": text}


def test_every_fault_is_told_in_the_order_of_the_text() -> None:
    body = r'{"name": "\u0000", "config": {"a": NaN, "b": {"\ud800": 1, "c": 1e400}, "a": 1}}'
    assert [where for where, _ in faults(body)] == [
        ("name",),
        ("config", "a"),
        ("config", "b"),
        ("config", "b", "c"),
    ]


def test_at_most_20_faults_are_told() -> None:
    told = faults('{"config": {"a": [' + ", ".join(["NaN"] * 1000) + "]}}")
    assert [where[-1] for where, _ in told] == list(range(20))


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "null",
        "1",
        '"{}"',
        "[]",
        "[{}]",
        "{",
        "}",
        "{{}}",
        '{"a"}',
        '{"a":}',
        '{"a": 1',
        '{"a": 1,}',
        '{"a": [1,]}',
        '{, "a": 1}',
        '{"a": 1,, "b": 2}',
        '{"a": 1 "b": 2}',
        '{"a": 1; "b": 2}',
        '{"a" = 1}',
        "{a: 1}",
        "{1: 1}",
        "{null: 1}",
        "{'a': 1}",
        "{\"a\": 'b'}",
        '{"a": True}',
        '{"a": nan}',
        '{"a": +1}',
        '{"a": 01}',
        '{"a": -}',
        '{"a": .5}',
        '{"a": 1.}',
        '{"a": 1e}',
        '{"a": 0x10}',
        '{"a": 1_000}',
        '{"a": \uff11}',
        '{"a": "b}',
        '{"a": "\n"}',
        '{"a\t": 1}',
        '{"a": "\x00"}',
        r'{"a": "\x41"}',
        r'{"a": "\u12g4"}',
        r'{"a": "\ud83"}',
        '{"a": 1} // no',
        '{"a": /* no */ 1}',
        "{} {}",
        "{}{}",
        '{"a": 1}garbage',
        "{}\x00",
        "\ufeff{}",
        "{}\ufeff",
        "\u00a0{}",
        "\x0c{}",
    ],
)
def test_what_is_no_json_object_is_refused(body: str) -> None:
    [(where, said)] = faults(body)
    assert where == ()
    assert said.startswith("The body is not a JSON object: look at line ")


@pytest.mark.parametrize(
    "encoding",
    ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)
def test_another_encoding_is_refused(encoding: str) -> None:
    [(where, said)] = faults('{"name": "a"}'.encode(encoding))
    assert where == ()
    assert said.startswith("The body is not ")


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff",
        b"\xc0\x80",
        b"\xe9",
        b"\xed\xa0\x80",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xf4\x90\x80\x80",
    ],
)
def test_what_is_not_utf_8_is_refused_at_its_byte(bad: bytes) -> None:
    assert faults(b'{"a":"' + bad + b'"}') == [((), "The body is not UTF-8 at byte 6")]


def test_a_syntax_error_is_told_by_line_and_column_and_without_the_text() -> None:
    [(_, said)] = faults('{"name": "secret",\n  "config" oops}')
    assert said == "The body is not a JSON object: look at line 2, column 12"
