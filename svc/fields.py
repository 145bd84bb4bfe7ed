"""The words of the wire: what requests and responses are made of."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import ulid
from fastapi import Header, HTTPException
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError
from pydantic_extra_types.ulid import ULID

import exact_route
from config import settings
from strict_json import ObjectText

# Slices find all of the wire here.
ExactRoute, invalid = exact_route.ExactRoute, exact_route.invalid

_ENTITY_TAGS = '^(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*$'
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')

_ULID = "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"
_NO_NUL = r"^[^\u0000]*$"
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_SPACE = r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_NAME = rf"^[^{_CONTROL}{_SPACE}]([^{_CONTROL}]*[^{_CONTROL}{_SPACE}])?$"


def new_ulid() -> str:
    """A fresh ULID as 26 upper-case characters of Crockford's base 32."""
    return str(ULID(ulid.ULID()).ulid)


def _canonical(text: str) -> str:
    if not re.fullmatch(_ULID, text):
        raise PydanticCustomError("ulid", "Input should be a ULID")
    return text.upper()


def _name(text: str) -> str:
    if not re.fullmatch(_NAME, text):
        raise PydanticCustomError(
            "name", "A name has no control characters and no white space at its ends"
        )
    return text


def _decimal(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch("[0-9]{1,18}", value):
        raise PydanticCustomError("decimal", "Input should be a whole number")
    return value


def _object_text(value: Any) -> str:
    if not isinstance(value, ObjectText):
        raise PydanticCustomError("object", "Input should be a JSON object")
    return value.text


# pydantic_extra_types' ULID is a dataclass, which FastAPI takes for a body even in a path, and it
# accepts integers and bytes: so what comes in is checked as text.
Ulid = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_canonical),
    WithJsonSchema({"type": "string", "pattern": _ULID}),
    Field(examples=["01K3Z5W8Q4R7T2V9X6Y1B3C5D7"]),
]
"""A ULID, in either case; upper case from here on."""

Name = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=256),
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 256, "pattern": _NAME}),
    Field(examples=["billing"]),
]
"""1 to 256 code points, no control character (Cc), no white space at either end."""

Comments = Annotated[
    str,
    StringConstraints(strict=True, max_length=1024),
    WithJsonSchema({"type": "string", "maxLength": 1024, "pattern": _NO_NUL}),
    Field(examples=["Owned by the payments team"]),
]
"""At most 1024 code points."""

_Text = Annotated[str, StringConstraints(pattern=_NO_NUL)]
_Number = (
    Literal[0]
    | Annotated[float, Field(ge=1e-308, le=1.7976931348623157e308)]
    | Annotated[float, Field(ge=-1.7976931348623157e308, le=-1e-308)]
)
type ConfigValue = bool | _Number | _Text | list[ConfigValue] | ConfigObject | None
type ConfigObject = Annotated[
    dict[str, ConfigValue],
    Field(
        description="Name/value pairs, at most 64 levels deep; numbers keep every digit.",
        examples=[{"currency": "EUR", "retries": 3, "rates": {"standard": 0.19}}],
        json_schema_extra={"propertyNames": {"pattern": _NO_NUL}},
    ),
]

ConfigDocument = Annotated[str, PlainValidator(_object_text, json_schema_input_type=ConfigObject)]
"""A JSON object, as the text that was sent."""

Sequence = Annotated[int, Field(ge=0, lt=10**18), BeforeValidator(_decimal)]
"""The number of a change within its application; the changes begin behind 0."""

Limit = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_decimal)]
"""The most items that a page holds."""


def _entity_tags(lines: list[str] | None) -> list[str] | None:
    if lines is None:
        return None
    text = ", ".join(lines)
    if text.strip() == "*":
        return ["*"]
    if not re.fullmatch(r"[ \t,]*\0([ \t]*,[ \t]*\0?)*[ \t]*", _ENTITY_TAG.sub("\0", text)):
        raise PydanticCustomError("entity_tag", "Input should be * or a list of entity tags")
    return [match[0] for match in _ENTITY_TAG.finditer(text)]


EntityTags = Annotated[
    list[str] | None,
    AfterValidator(_entity_tags),
    WithJsonSchema({"anyOf": [{"const": "*"}, {"type": "string", "pattern": _ENTITY_TAGS}]}),
    Header(examples=['"7"']),
]
"""The value of If-Match or If-None-Match (RFC 9110 §13.1): `["*"]`, its entity tags, or None."""

Revision = Annotated[int, Field(ge=1, lt=10**18), BeforeValidator(_decimal)]
"""The number of a revision: 1 when created, one more with each change."""


def entity_tag(revision: int) -> str:
    """The strong entity tag of a revision."""
    return f'"{revision}"'


def matches(if_none_match: list[str] | None, tag: str) -> bool:
    """Whether `tag` is among the tags, by the weak comparison (RFC 9110 §13.1.2)."""
    given = {one.removeprefix("W/") for one in if_none_match or []}
    return "*" in given or tag in given


def known_revision(if_none_match: list[str] | None) -> int | None:
    """The revision that If-None-Match names, if it names one alone."""
    if if_none_match and len(if_none_match) == 1:
        match = re.fullmatch('(?:W/)?"([1-9][0-9]{0,17})"', if_none_match[0])
        return int(match[1]) if match else None
    return None


Prefer = Annotated[
    list[str] | None, WithJsonSchema({"type": "string"}), Header(examples=["wait=30"])
]
"""The preferences of the request (RFC 7240)."""


def wait_seconds(prefer: list[str] | None) -> int | None:
    """How long the request prefers to wait (`wait=30`), at most MAX_WAIT_SECONDS; None: not at all.

    A preference that is not understood counts as not given (RFC 7240 §2).
    """
    for preference in ",".join(prefer or []).split(","):
        match = re.fullmatch(r'wait\s*=\s*"?([0-9]{1,9})"?', preference.split(";")[0].strip(), re.I)
        if match:
            return min(int(match[1]), int(settings().max_wait_seconds))
    return None


def expected_revisions(if_match: list[str] | None) -> list[int] | None:
    """The revisions that If-Match lets a change start from, None for any.

    By the strong comparison (RFC 9110 §13.1.1), so that a weak tag matches none. Where the service
    requires a precondition, its absence matches none either.
    """
    if if_match is None:
        return [] if settings().require_if_match else None
    if if_match == ["*"]:
        return None
    return [int(tag[1:-1]) for tag in if_match if re.fullmatch('"[1-9][0-9]{0,17}"', tag)]


def precondition_refusal(if_match: list[str] | None, revision: int | None) -> HTTPException:
    """412, with the ETag of the current `revision` if there is one, or 428 without If-Match."""
    headers = {"ETag": entity_tag(revision)} if revision else {}
    if if_match is None:
        return HTTPException(428, "A change needs If-Match.", headers)
    return HTTPException(412, "The current revision is another than If-Match says.", headers)


class RequestModel(BaseModel):
    """A request's body: an unknown member is refused rather than dropped."""

    model_config = ConfigDict(extra="forbid")


def left_out(value: Any = "", description: str | None = None) -> Any:
    """The default `value` of a member that may be left out but not null. It stands for the absence,
    and is no default that a client would see."""

    def unsaid(schema: dict[str, Any]) -> None:
        schema.pop("default", None)

    return Field(default=value, description=description, json_schema_extra=unsaid)


def next_link(path: str, **query: Any) -> str:
    """The `Link` header to the next page (RFC 8288), relative; leaves out what is None."""
    given = {name: value for name, value in query.items() if value is not None}
    return f'<{path}?{urlencode(given)}>; rel="next"'
