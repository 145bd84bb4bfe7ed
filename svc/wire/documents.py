"""Reads a JSON object (RFC 8259) and refuses whatever PostgreSQL could not give back unchanged.

Nothing is rewritten on the way: an object comes out as the text that came in, so that its numbers
keep every digit and only PostgreSQL ever parses them into values.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_DEPTH = 64
MAX_DIGITS = 400
SHORT = 300  # characters of a number without an exponent that no limit can catch
LARGEST = Decimal("1.7976931348623157e308")
SMALLEST = Decimal("1e-308")

type Location = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\n\r]*")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class ObjectText(dict[str, Any]):
    """A JSON object, with the `text` it was sent as."""

    def __init__(self, text: str, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(members or {})
        self.text = text


class NotJson(ValueError):
    """The text is not a JSON object; the message says where it stops being one."""


class Unstorable(ValueError):
    """The text is JSON that cannot be kept: `faults` lists (location, what is wrong)."""

    def __init__(self, faults: list[tuple[Location, str]]) -> None:
        super().__init__("the document cannot be kept")
        self.faults = faults


def read_object(body: bytes, most_faults: int = 20) -> dict[str, Any]:
    """The members of the JSON object in `body`, which must be UTF-8 without a byte order mark.

    A member that is itself an object becomes an `ObjectText`. Raises NotJson, or Unstorable with
    at most `most_faults` faults.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise NotJson(f"The body is not UTF-8 at byte {error.start}") from None
    reader, spans = _Reader(), dict[str, ObjectText]()
    try:
        tree = reader.members(text, spans)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise NotJson(f"The body is not a JSON object: look at {where}") from None
    except RecursionError:
        raise Unstorable([((), f"is nested deeper than {MAX_DEPTH} levels")]) from None
    # Most texts cannot have a fault, and the search for its place is slow: a NUL and a surrogate
    # have to be escaped, and what is deep has many brackets.
    if reader.found_fault or "\\u" in text or text.count("{") + text.count("[") > MAX_DEPTH:
        faults = [fault for fault, _ in zip(_faults(tree, (), 0), range(most_faults), strict=False)]
        if faults:
            raise Unstorable(faults)
    return {**tree, **spans}


class _Repeating(dict[str, Any]):
    """An object in which `repeated` is a key more than once."""

    repeated: str


@dataclass(frozen=True, slots=True)
class _Refused:
    reason: str


def _refusal(text: str) -> _Refused | None:
    """What is wrong with a number that is long or has an exponent; the exact test is slow."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _Refused("is a number out of range")
    size = number.copy_abs()
    if size > LARGEST:
        return _Refused("is a number larger than 1.7976931348623157e308")
    if 0 < size < SMALLEST:
        return _Refused("is a number closer to zero than 1e-308")
    _, digits, exponent = number.as_tuple()
    exponent = int(exponent)
    if max(1, len(digits) + exponent if number else 1) + max(0, -exponent) > MAX_DIGITS:
        return _Refused(f"is a number of more than {MAX_DIGITS} digits")
    return None


class _Reader:
    """Reads one text; `found_fault` says whether a fault stands in the tree for certain."""

    def __init__(self) -> None:
        self.found_fault = False
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_float=self._float,
            parse_int=self._int,
            parse_constant=lambda _: self._refused(_Refused("is not a JSON number")),
        )

    def members(self, text: str, spans: dict[str, ObjectText]) -> dict[str, Any]:
        """The object that is all of `text`; `spans` receives the text of its members' objects."""

        def past_space(at: int) -> int:
            return _SPACE.match(text, at).end()  # type: ignore[union-attr]

        def past(sign: str, at: int) -> int:
            if not text.startswith(sign, at):
                raise json.JSONDecodeError(f"no {sign}", text, at)
            return past_space(at + 1)

        pairs: list[tuple[str, Any]] = []
        at = past("{", past_space(0))
        while not text.startswith("}", at):
            if pairs:
                at = past(",", at)
            past('"', at)
            key, at = self._decoder.raw_decode(text, at)
            start = past(":", past_space(at))
            value, end = self._decoder.raw_decode(text, start)
            if isinstance(value, dict):
                spans[key] = ObjectText(text[start:end], value)
            pairs.append((key, value))
            at = past_space(end)
        if past("}", at) != len(text):
            raise json.JSONDecodeError("more than one value", text, at)
        return self._object(pairs)

    def _refused(self, refused: _Refused) -> _Refused:
        self.found_fault = True
        return refused

    def _float(self, text: str) -> float | _Refused:
        if len(text) > SHORT or "e" in text or "E" in text:
            refused = _refusal(text)
            if refused:
                return self._refused(refused)
        return float(text)

    def _int(self, text: str) -> int | _Refused:
        if len(text) > SHORT:
            refused = _refusal(text)
            if refused:
                return self._refused(refused)
        return int(text)

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
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield where, "holds a NUL character or a lone surrogate"
    elif isinstance(value, dict):
        # The body itself is level 0, so that a member's own object is level 1.
        if depth > MAX_DEPTH:
            yield where, f"is nested deeper than {MAX_DEPTH} levels"
            return
        if isinstance(value, _Repeating) and not _UNSTORABLE.search(value.repeated):
            yield (*where, value.repeated), "is there twice"
        for key, member in value.items():
            if _UNSTORABLE.search(key):
                yield where, "has a key with a NUL character or a lone surrogate"
            else:
                yield from _faults(member, (*where, key), depth + 1)
    elif isinstance(value, list):
        if depth > MAX_DEPTH:
            yield where, f"is nested deeper than {MAX_DEPTH} levels"
            return
        for index, item in enumerate(value):
            yield from _faults(item, (*where, index), depth + 1)
    elif isinstance(value, _Refused):
        yield where, value.reason
