import base64
import hashlib
import runpy
import sys

import pytest

from edge import tokens
from edge.tokens import Token, hash_of, main, parse

ONE, TWO = "1a" * 32, "2b" * 32
SECRET = "canary"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 1),
        (" ", 1),
        ("\t\n", 1),
        (",", 1),
        (" , ,\n", 1),
        (f",a:read:{ONE}", 1),
        (f"a:read:{ONE},", 2),
        (f"a:read:{ONE}, ", 2),
        (f"a:read:{ONE},,b:read:{TWO}", 2),
    ],
)
def test_an_empty_place_in_the_list_is_refused(text: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"^token {number} has no name"):
        parse(text)


def test_each_line_is_a_token_in_the_order_of_the_text() -> None:
    assert parse(f"b:write:{ONE},a:read:{TWO}") == [
        Token("b", "write", ONE, None),
        Token("a", "read", TWO, None),
    ]


def test_space_around_a_token_does_not_matter() -> None:
    assert parse(f"\n a:read:{ONE}\t, b:read:{TWO} ") == parse(f"a:read:{ONE},b:read:{TWO}")


def test_a_fourth_part_is_the_application_with_all_its_colons() -> None:
    [token] = parse(f"a:read:{ONE}:shop: the é one:")
    assert token.application == "shop: the é one:"


def test_a_hash_is_taken_in_any_case() -> None:
    assert parse(f"a:read:{ONE.upper()}") == parse(f"a:read:{ONE}")


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 64])
def test_a_name_has_1_to_64_plain_characters(name: str) -> None:
    assert [token.name for token in parse(f"{name}:read:{ONE}")] == [name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f":read:{ONE}", "token 1 has no name"),
        (f"{SECRET} b:read:{ONE}", "token 1 has no name"),
        (f"{SECRET}é:read:{ONE}", "token 1 has no name"),
        (f"{SECRET}/:read:{ONE}", "token 1 has no name"),
        (f"{SECRET * 11}:read:{ONE}", "token 1 has no name"),
        (SECRET, "token 1 has a scope that is neither read nor write"),
        (f"a:{SECRET}:{ONE}", "token 1 has a scope that is neither read nor write"),
        (f"a::{ONE}", "token 1 has a scope that is neither read nor write"),
        (f"a:READ:{ONE}", "token 1 has a scope that is neither read nor write"),
        (f"a: read:{ONE}", "token 1 has a scope that is neither read nor write"),
        ("a:read", "token 1 has no SHA-256"),
        (f"a:read:{SECRET}", "token 1 has no SHA-256"),
        (f"a:read:{ONE[1:]}", "token 1 has no SHA-256"),
        (f"a:read:{ONE}0", "token 1 has no SHA-256"),
        (f"a:read:{ONE[1:]}g", "token 1 has no SHA-256"),
        (f"a:read:{ONE[1:]}\u0661", "token 1 has no SHA-256"),
        (f"a:read:{ONE}:", "token 1 is confined to nothing"),
        (f"a:read:{ONE},{SECRET}:{SECRET}:{TWO}", "token 2 has a scope"),
        (f"{SECRET}:read:{ONE},{SECRET}:write:{TWO}", "two tokens have the same name"),
        (f"{SECRET}:read:{ONE},b:read:{ONE}", "two tokens have the same hash"),
        (f"{SECRET}:read:{ONE},b:read:{ONE.upper()}", "two tokens have the same hash"),
    ],
)
def test_what_is_no_token_is_told_by_its_number_and_never_repeated(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as raised:
        parse(text)
    told = str(raised.value)
    assert not any(part in told for part in (SECRET, ONE, ONE[1:], ONE.upper(), TWO))


def test_the_hash_is_that_of_the_bytes_on_the_wire() -> None:
    assert hash_of(b"some") == hashlib.sha256(b"some").hexdigest()
    assert hash_of(b"\xfc\xff") == hashlib.sha256(b"\xfc\xff").hexdigest()


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """The token and the line that are printed."""
    assert main(list(arguments)) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    first, second = printed.out.splitlines()
    assert first.startswith("The token, shown this once: ")
    assert second.startswith("Its line for API_TOKENS: ")
    return first.split(": ", 1)[1].strip(), second.split(": ", 1)[1].strip()


@pytest.mark.parametrize(
    ("arguments", "token"),
    [
        (("ci", "write"), ("ci", "write", None)),
        (("ci", "read"), ("ci", "read", None)),
        (("ci", "write", "shop: the é one"), ("ci", "write", "shop: the é one")),
    ],
)
def test_a_new_token_fits_the_line_that_is_printed_with_it(
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    token: tuple[str, str, str | None],
) -> None:
    secret, line = made(capsys, *arguments)
    name, scope, application = token
    assert parse(line) == [Token(name, scope, hash_of(secret.encode()), application)]
    assert secret not in line


def test_every_token_is_another_one_of_32_bytes_or_more(capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {made(capsys, "ci", "read")[0] for _ in range(10)}
    assert len(secrets) == 10
    for secret in secrets:
        assert len(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))) >= 32


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "usage: "),
        (["ci"], "usage: "),
        (["ci", "read", "shop", "more"], "usage: "),
        (["ci", "admin"], "scope"),
        (["", "read"], "name"),
        (["c i", "read"], "name"),
        (["ci", "read", ""], "confined to nothing"),
        (["ci", "read", f"shop,b:write:{ONE}"], "usage: "),
    ],
)
def test_wrong_usage_prints_no_token_and_has_the_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert told in printed.err


@pytest.mark.parametrize(("arguments", "status"), [(["ci", "read"], 0), (["ci"], 2)])
def test_the_exit_status_of_the_command_is_that_of_its_usage(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["edge.tokens", *arguments])
    with pytest.raises(SystemExit) as raised:
        runpy.run_path(tokens.__file__, run_name="__main__")
    assert raised.value.code == status
