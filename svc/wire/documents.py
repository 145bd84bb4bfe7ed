"""Reads a JSON object (RFC 8259) and refuses whatever PostgreSQL could not give back unchanged.

Nothing is rewritten on the way: an object comes out as the text that came in, so that its numbers
keep every digit and only PostgreSQL ever parses them into values.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

from fastapi.exceptions import RequestValidationError

MAX_DEPTH = 64
MAX_DIGITS = 400
MAX_FAULTS = 20
SHORT = 300  # characters of a number without an exponent that no limit can catch
LARGEST = Decimal("1.7976931348623157e308")
SMALLEST = Decimal("1e-308")

type Location = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\n\r]*")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_TOO_DEEP = f"This is nested deeper than {MAX_DEPTH} levels"


class ObjectText(dict[str, Any]):
    """A JSON object, with the `text` it was sent as."""

    __slots__ = ("text",)

    def __init__(self, text: str, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(members or {})
        self.text = text


def read_object(body: bytes) -> dict[str, Any]:
    """The members of the JSON object in `body`, which must be UTF-8 without a byte order mark.

    A member that is itself an object becomes an `ObjectText`. Raises RequestValidationError with at
    most 20 faults, in the order of the text.
    """
    try:
        text = body.decode()
        try:
            tree: dict[str, Any] = _read(text, _QUICK)
        except _Refused:
            raise _invalid(*islice(_faults(_read(text, _EXACT)), MAX_FAULTS)) from None
    except UnicodeDecodeError as error:
        raise _invalid(((), f"The body is not UTF-8 at byte {error.start}")) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _invalid(((), f"The body is not a JSON object: look at {where}")) from None
    except RecursionError:
        raise _invalid(((), _TOO_DEEP)) from None
    # Most texts cannot have a fault, and the search for its place is slow: a NUL and a surrogate
    # have to be escaped, and what is deep has many brackets.
    if "\\u" in text or text.count("{") + text.count("[") > MAX_DEPTH:
        faults = list(islice(_faults(tree), MAX_FAULTS))
        if faults:
            raise _invalid(*faults)
    return tree


def _invalid(*faults: tuple[Location, str]) -> RequestValidationError:
    return RequestValidationError(
        [{"type": "invalid", "loc": ("body", *where), "msg": what} for where, what in faults]
    )


def _read(text: str, decoder: json.JSONDecoder) -> Any:
    """The object that is all of `text`, read by the decoder."""

    def past(sign: str, at: int) -> int:
        """Where the text goes on behind the sign, or behind none, and white space."""
        if not text.startswith(sign, at):
            raise json.JSONDecodeError(f"no {sign}", text, at)
        return _SPACE.match(text, at + len(sign)).end()  # type: ignore[union-attr]

    pairs: list[tuple[str, Any]] = []
    at = past("{", past("", 0))
    while not text.startswith("}", at):
        if pairs:
            at = past(",", at)
        past('"', at)
        key, at = decoder.raw_decode(text, at)
        start = past(":", past("", at))
        value, end = decoder.raw_decode(text, start)
        if isinstance(value, dict):
            value = ObjectText(text[start:end], value)
        pairs.append((key, value))
        at = past("", end)
    if past("}", at) != len(text):
        raise json.JSONDecodeError("more than one value", text, at)
    return decoder.object_pairs_hook(pairs)


class _Refused(Exception):
    """A value cannot be kept: of a number, the text says why."""


def _refusal(text: str) -> _Refused | None:
    """What is wrong with a number, which may be NaN or infinite."""
    # The exact test is slow, and no limit can catch what is short and has no exponent. What is not
    # finite ends with a letter.
    if len(text) <= SHORT and "e" not in text and "E" not in text and text[-1] <= "9":
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _Refused("This is a number out of range")
    if not number.is_finite():
        return _Refused("This is not a JSON number")
    size = number.copy_abs()
    if size > LARGEST:
        return _Refused("This is a number larger than 1.7976931348623157e308")
    if 0 < size < SMALLEST:
        return _Refused("This is a number closer to zero than 1e-308")
    before = max(0, number.adjusted()) + 1 if number else 1
    behind = max(0, -int(number.as_tuple().exponent))
    too_long = before + behind > MAX_DIGITS
    return _Refused(f"This is a number of more than {MAX_DIGITS} digits") if too_long else None


def _float(text: str) -> float:
    if refusal := _refusal(text):
        raise refusal
    return float(text)


def _int(text: str) -> int:
    if len(text) > SHORT:
        _float(text)
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Refused
    return members


# The quick one stops at a fault. The other leaves all in the tree that tells where the faults are:
# objects as tuples of pairs, and in the place of each number what is wrong with it, or None.
_QUICK = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_float
)
_EXACT = json.JSONDecoder(
    object_pairs_hook=tuple, parse_float=_refusal, parse_int=_refusal, parse_constant=_refusal
)


def _faults(value: Any, where: Location = (), depth: int = 0) -> Iterator[tuple[Location, str]]:
    """What is wrong and where, in the order of the text."""
    # The body itself is level 0, so that a member's own object is level 1.
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield where, "This holds a NUL character or a lone surrogate"
    elif isinstance(value, _Refused):
        yield where, str(value)
    elif depth > MAX_DEPTH and isinstance(value, dict | tuple | list):
        yield where, _TOO_DEEP
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, (*where, index), depth + 1)
    elif isinstance(value, dict | tuple):
        members = value if isinstance(value, dict) else dict(value)
        if len(members) < len(value):
            first = {key: at for at, (key, _) in reversed([*enumerate(value)])}
            key = next(key for at, (key, _) in enumerate(value) if at > first[key])
            if not _UNSTORABLE.search(key):
                yield (*where, key), "This is there twice"
        for key, member in members.items():
            if _UNSTORABLE.search(key):
                yield where, "This has a key with a NUL character or a lone surrogate"
            else:
                yield from _faults(member, (*where, key), depth + 1)
