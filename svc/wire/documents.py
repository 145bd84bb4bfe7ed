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
    except UnicodeDecodeError as error:
        raise _invalid(((), f"The body is not UTF-8 at byte {error.start}")) from None
    reader = _Reader()
    try:
        members = reader.members(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _invalid(((), f"The body is not a JSON object: look at {where}")) from None
    except RecursionError:
        raise _invalid(((), _TOO_DEEP)) from None
    # Most texts cannot have a fault, and the search for its place is slow: a NUL and a surrogate
    # have to be escaped, and what is deep has many brackets.
    if reader.found_fault or "\\u" in text or text.count("{") + text.count("[") > MAX_DEPTH:
        faults = list(islice(_faults(members, (), 0), MAX_FAULTS))
        if faults:
            raise _invalid(*faults)
    return members


def _invalid(*faults: tuple[Location, str]) -> RequestValidationError:
    return RequestValidationError(
        [{"type": "invalid", "loc": ("body", *where), "msg": what} for where, what in faults]
    )


class _Repeating(dict[str, Any]):
    """An object in which `repeated` is a key more than once."""

    repeated: str


class _Refused(str):
    """What is wrong with a number, in its place."""


def _refusal(text: str) -> str | None:
    """What is wrong with a number that is long or has an exponent; the exact test is slow."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return "This is a number out of range"
    size = number.copy_abs()
    if size > LARGEST:
        return "This is a number larger than 1.7976931348623157e308"
    if 0 < size < SMALLEST:
        return "This is a number closer to zero than 1e-308"
    before = max(0, number.adjusted()) + 1 if number else 1
    behind = max(0, -int(number.as_tuple().exponent))
    if before + behind > MAX_DIGITS:
        return f"This is a number of more than {MAX_DIGITS} digits"
    return None


class _Reader:
    """Reads one text; `found_fault` says whether a fault stands in the tree for certain."""

    found_fault = False

    def members(self, text: str) -> dict[str, Any]:
        """The object that is all of `text`."""
        # Not kept: it knows the reader, and the two would be left to the garbage collector.
        decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_float=self._float,
            parse_int=self._int,
            parse_constant=lambda _: self._refused("This is not a JSON number"),
        )

        def past(sign: str, at: int) -> int:
            """Where the text goes on behind the sign, which may be none, and white space."""
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
            if type(value) is dict:
                value = ObjectText(text[start:end], value)
            pairs.append((key, value))
            at = past("", end)
        if past("}", at) != len(text):
            raise json.JSONDecodeError("more than one value", text, at)
        return self._object(pairs)

    def _refused(self, reason: str) -> _Refused:
        self.found_fault = True
        return _Refused(reason)

    def _float(self, text: str) -> float | _Refused:
        may_be_wrong = len(text) > SHORT or "e" in text or "E" in text
        reason = _refusal(text) if may_be_wrong else None
        return self._refused(reason) if reason else float(text)

    def _int(self, text: str) -> int | _Refused:
        reason = _refusal(text) if len(text) > SHORT else None
        return self._refused(reason) if reason else int(text)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        self.found_fault = True
        repeating, seen = _Repeating(members), set[str]()
        for key, _ in pairs:
            if key in seen:
                repeating.repeated = key
                break
            seen.add(key)
        return repeating


def _faults(value: Any, where: Location, depth: int) -> Iterator[tuple[Location, str]]:
    # The body itself is level 0, so that a member's own object is level 1.
    if isinstance(value, _Refused):
        yield where, str(value)
    elif isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield where, "This holds a NUL character or a lone surrogate"
    elif depth > MAX_DEPTH and isinstance(value, dict | list):
        yield where, _TOO_DEEP
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, (*where, index), depth + 1)
    elif isinstance(value, dict):
        if isinstance(value, _Repeating) and not _UNSTORABLE.search(value.repeated):
            yield (*where, value.repeated), "This is there twice"
        for key, member in value.items():
            if _UNSTORABLE.search(key):
                yield where, "This has a key with a NUL character or a lone surrogate"
            else:
                yield from _faults(member, (*where, key), depth + 1)
