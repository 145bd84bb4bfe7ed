"""Reads a JSON object (RFC 8259) and refuses whatever PostgreSQL could not give back unchanged.

Nothing is rewritten on the way: an object comes out as the text that came in, so that its numbers
keep every digit and only PostgreSQL ever parses them into values.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import islice, takewhile
from typing import Any

from fastapi.exceptions import RequestValidationError

from wire.refusals import Refused

MAX_DEPTH = 64
MAX_DIGITS = 400
MAX_FAULTS = 20
SHORT = 300  # characters of a number without an exponent that no limit can catch
LARGEST = Decimal("1.7976931348623157e308")
SMALLEST = Decimal("1e-308")
# While it decodes a value, the decoder lets no other thread run. So of a text that may be too large
# it is shown this many characters, and more only where the value goes on.
WINDOWS = (256, 64 * 1024)
# The decoder fails fewer characters than this before the end of a window that cuts an escape, a
# literal or a number's exponent.
CUT = 16

type Location = tuple[str | int, ...]
# For each level of objects above the documents, how many members one of them may have.
type Levels = Sequence[int]
type Decode = Callable[[str, int], tuple[Any, int]]

_SPACE = re.compile(r"[ \t\n\r]*")
_OPENING, _COLON, _COMMA = (
    re.compile(rf"[ \t\n\r]*{sign}[ \t\n\r]*") for sign in (r"\{", ":", ",")
)
_NO_BACKSLASH = re.compile(r"[^\\]")
_SIGN = re.compile(r'"|\{|\}|\[|\]|\\.', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Behind a window, it makes the decoder fail at the end rather than where a string began.
_CLOSING = ' "'
_TOO_DEEP = f"This is nested deeper than {MAX_DEPTH} levels"


class ObjectText(dict[str, Any]):
    """A JSON object, with the `text` it was sent as."""

    __slots__ = ("text",)

    def __init__(self, text: str, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(members or {})
        self.text = text


def read_object(
    body: bytes, levels: Levels = (sys.maxsize,), limit: int = sys.maxsize
) -> dict[str, Any]:
    """The members of the JSON object in `body`, which must be UTF-8 without a byte order mark.

    The body is the first of the `levels` of objects, and an object below the last of them is a
    document: it becomes an `ObjectText`, which keeps its members only where there is one level.
    Raises Refused (413) where a document, or another value in its place, has more than `limit`
    bytes, or an object above them has too many members, and RequestValidationError with at most 20
    faults, in the order of the text.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _invalid(((), f"The body is not UTF-8 at byte {error.start}")) from None
    reader = _Reader(text, levels, limit if len(body) > limit else None)
    malformed: RequestValidationError | None = None
    try:
        members = reader.read()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        malformed = _invalid(((), f"The body is not a JSON object: look at {where}"))
    if reader.too_large:
        detail = f"A document is larger than {limit} bytes: see errors."
        places = dict.fromkeys(reader.too_large)
        raise Refused(413, detail, [(("body", *place), "This is too large") for place in places])
    if malformed:
        raise malformed
    # Outside of the documents it is only a key of which the decoder does not notice that it is
    # unstorable.
    if reader.found_fault or (reader.suspicious and "\\u" in text):
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


class _Faulty:
    """In the place of a value: what is wrong with it, by locations that begin there."""

    def __init__(self, *faults: tuple[Location, str]) -> None:
        self.faults = faults


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
    """Reads one text. `found_fault` says whether a fault stands in the tree, and `suspicious`
    whether there may be one that nobody has noticed."""

    found_fault = False
    _marked = False  # there is a fault in the value that is being read

    def __init__(self, text: str, levels: Levels, limit: int | None) -> None:
        """With a limit, a value that is larger is not decoded, but noted in `too_large`."""
        self._text, self._levels, self._limit = text, levels, limit
        self.suspicious = _is_suspicious(text, 0, len(text))
        self._place: Location = ()
        self.too_large: list[Location] = []

    def read(self) -> dict[str, Any]:
        """The object that is all of the text."""
        # Not kept: it knows the reader, and the two would be left to the garbage collector.
        decode = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_float=self._float,
            parse_int=self._int,
            parse_constant=lambda _: self._faulty("This is not a JSON number"),
        ).raw_decode
        decode = partial(self._limited, decode) if self._limit else decode
        try:
            members, at = self._members(decode, 0, (), self._levels)
        except RecursionError:
            raise _invalid((self._above(), _TOO_DEEP)) from None
        at = _past(_SPACE, self._text, at)
        if at != len(self._text):
            raise json.JSONDecodeError("more than one value", self._text, at)
        return members

    def _members(
        self, decode: Decode, at: int, where: Location, levels: Levels
    ) -> tuple[dict[str, Any], int]:
        """The object at `at`, and where it ends."""
        text, pairs = self._text, list[tuple[str, Any]]()
        most, *below = levels
        value: Any
        at = _past(_OPENING, text, at)
        while not text.startswith("}", at):
            if pairs:
                at = _past(_COMMA, text, at)
            if not text.startswith('"', at):
                raise json.JSONDecodeError("no key", text, at)
            if len(pairs) == most:
                faults = [(("body", *_storable(where)), f"This has more than {most} members")]
                raise Refused(413, "The body has too many members: see errors.", faults)
            self._place = where
            key, at = decode(text, at)
            start = _past(_COLON, text, at)
            self._place = (*where, key)
            if below and text.startswith("{", start):
                value, at = self._members(decode, start, self._place, below)
            else:
                value, at = decode(text, start)
                if self._marked or self.suspicious:
                    value = self._searched(value, start, at)
                # Of many documents, the members are let go one by one: all at once would take long.
                kept = len(self._levels) == 1
                if type(value) is dict:
                    value = ObjectText(text[start:at], value if kept else None)
                elif type(value) is list and not kept:
                    value = []
            pairs.append((key, value))
            at = _past(_SPACE, text, at)
        return self._object(pairs), at + 1

    def _searched(self, value: Any, start: int, end: int) -> Any:
        """The value in the place of a document, or its faults where it has some."""
        if self._marked or _is_suspicious(self._text, start, end):
            self._marked = False
            faults = list(islice(_faults(value, (), 1), MAX_FAULTS))
            if faults:
                self.found_fault = True
                return _Faulty(*faults)
        return value

    def _limited(self, decode: Decode, text: str, at: int) -> tuple[Any, int]:
        """As `decode`; what is too large is noted, and None stands in its place."""
        limit = self._limit or 0
        for size in (*(size for size in WINDOWS if size < limit), limit):
            window = text[at : at + size + CUT] + _CLOSING
            try:
                value, length = decode(window, 0)
            except json.JSONDecodeError as error:
                if error.pos < size:
                    raise json.JSONDecodeError(error.msg, text, at + error.pos) from None
            else:
                if length <= size and len(window[:length].encode()) <= limit:
                    return value, at + length
        self.too_large.append(self._above())
        return None, _end(text, at)

    def _above(self) -> Location:
        """The object above the document that is being read: of one that is not decoded, no more is
        told."""
        return _storable(self._place[: len(self._levels) - 1])

    def _faulty(self, reason: str) -> _Faulty:
        self.found_fault = self._marked = True
        return _Faulty(((), reason))

    def _float(self, text: str) -> float | _Faulty:
        may_be_wrong = len(text) > SHORT or "e" in text or "E" in text
        reason = _refusal(text) if may_be_wrong else None
        return self._faulty(reason) if reason else float(text)

    def _int(self, text: str) -> int | _Faulty:
        reason = _refusal(text) if len(text) > SHORT else None
        return self._faulty(reason) if reason else int(text)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) == len(pairs):
            return members
        self.found_fault = self._marked = True
        repeating, seen = _Repeating(members), set[str]()
        for key, _ in pairs:
            if key in seen:
                repeating.repeated = key
                break
            seen.add(key)
        return repeating


def _past(sign: re.Pattern[str], text: str, at: int) -> int:
    """Where the text goes on behind the sign and the white space around it."""
    found = sign.match(text, at)
    if not found:
        raise json.JSONDecodeError("no sign", text, _past(_SPACE, text, at))
    return found.end()


def _is_suspicious(text: str, start: int, end: int) -> bool:
    """Whether this part of the text can have a fault that the decoder does not notice: a NUL and a
    surrogate have to be escaped, and what is deep has many brackets."""
    brackets = text.count("{", start, end) + text.count("[", start, end)
    return brackets > MAX_DEPTH or text.find("\\u", start, end) >= 0


def _storable(place: Location) -> Location:
    """As much of the place as an answer may name."""
    return tuple(takewhile(lambda step: not _UNSTORABLE.search(str(step)), place))


def _signs(text: str, at: int) -> Iterator[re.Match[str]]:
    """The brackets, quotes and escapes from `at` on. A search lets no other thread run either."""
    while at < len(text):
        uncut = _NO_BACKSLASH.search(text, at + WINDOWS[-1])
        end = uncut.end() if uncut else len(text)
        yield from _SIGN.finditer(text, at, end)
        at = end


def _end(text: str, at: int) -> int:
    """Where the object, array or string at `at` ends, without decoding it."""
    depth, quoted = 0, False
    for sign in _signs(text, at):
        match sign[0]:
            case '"':
                quoted = not quoted
            case "{" | "[" if not quoted:
                depth += 1
            case "}" | "]" if not quoted:
                depth -= 1
        if depth == 0 and not quoted:
            return sign.end()
    return len(text)


def _faults(value: Any, where: Location, depth: int) -> Iterator[tuple[Location, str]]:
    # A document is level 1.
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield where, "This holds a NUL character or a lone surrogate"
    elif isinstance(value, _Faulty):
        yield from (((*where, *place), what) for place, what in value.faults)
    elif depth > MAX_DEPTH and isinstance(value, dict | list):
        yield where, _TOO_DEEP
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, (*where, index), depth + 1)
    elif isinstance(value, dict) and not isinstance(value, ObjectText):
        if isinstance(value, _Repeating) and not _UNSTORABLE.search(value.repeated):
            yield (*where, value.repeated), "This is there twice"
        for key, member in value.items():
            if _UNSTORABLE.search(key):
                yield where, "This has a key with a NUL character or a lone surrogate"
            else:
                yield from _faults(member, (*where, key), depth + 1)
