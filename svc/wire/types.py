"""The types of the wire: what requests and responses are made of."""

import re
from itertools import batched
from typing import Annotated, Any, Literal, TypeVar, get_args

import ulid
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    PlainValidator,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_extra_types.ulid import ULID

from wire.documents import ObjectText

_ULID = "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"
NO_NUL = r"^[^\u0000]*$"
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


def _object(value: Any) -> Any:
    if not isinstance(value, dict):
        raise PydanticCustomError("object", "Input should be a JSON object")
    return value


def _schema(description: str, example: str, **keywords: Any) -> WithJsonSchema:
    text = {"type": "string", "description": description, "examples": [example]}
    return WithJsonSchema(text | keywords)


def _number(description: str, example: int, *, least: int) -> WithJsonSchema:
    # Without the format, generated clients take 32 bits.
    bounds = {"format": "int64", "minimum": least, "exclusiveMaximum": 10**18}
    return WithJsonSchema(
        {"type": "integer", "description": description, "examples": [example], **bounds}
    )


def _ulid_of(what: str, example: str) -> WithJsonSchema:
    return _schema(f"The id of {what}: a ULID.", example, pattern=_ULID)


def _name_of(what: str, scope: str, example: str) -> WithJsonSchema:
    lengths = {"minLength": 1, "maxLength": 256}
    description = f"The name of {what}, unique {scope}."
    return _schema(description, example, pattern=_NAME, **lengths)


# pydantic_extra_types' ULID is a dataclass, which FastAPI takes for a body even in a path, and it
# accepts integers and bytes: so what comes in is checked as text.
Ulid = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_canonical),
    _ulid_of("something", "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"),
]
"""A ULID, in either case; upper case from here on."""

ApplicationId = Annotated[Ulid, _ulid_of("an application", "01K3Z5W8Q4R7T2V9X6Y1B3C5D7")]
ConfigurationId = Annotated[Ulid, _ulid_of("a configuration", "01K3Z60F2M8S5N7P1C4D6E9G0H")]

CheckId = Annotated[Ulid, _ulid_of("a check", "01K3Z6F4N9T6P8Q2D5E7F0H1J2")]

Name = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=256),
    AfterValidator(_name),
    _name_of("something", "among its kind", "billing"),
]
"""1 to 256 code points, no control character (Cc), no white space at either end."""

ApplicationName = Annotated[Name, _name_of("an application", "among all", "billing")]
ConfigurationName = Annotated[
    Name, _name_of("a configuration", "within its application", "production")
]

# As `pattern` alone it would make `patternProperties`, of which client generators make nothing.
ConfigurationKey = Annotated[
    ConfigurationName,
    WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": 256, "allOf": [{"pattern": _NAME}]}
    ),
]
"""The name of a configuration as the key of an object."""

Comments = Annotated[
    str,
    StringConstraints(strict=True, max_length=1024),
    _schema("For people.", "Owned by the payments team", maxLength=1024, pattern=NO_NUL),
]
"""At most 1024 code points."""

# An open object: client generators make nothing usable of a type that contains itself.
type ConfigObject = Annotated[
    dict[str, Any],
    Field(
        description="Name/value pairs, at most 64 levels deep; numbers keep every digit.",
        examples=[{"currency": "EUR", "retries": 3, "rates": {"standard": 0.19}}],
    ),
]

ConfigDocument = Annotated[str, PlainValidator(_object_text, json_schema_input_type=ConfigObject)]
"""A JSON object, as the text that was sent."""

Sequence = Annotated[
    int,
    Field(ge=0, lt=10**18),
    BeforeValidator(_decimal),
    _number("The number of a change within its application; they begin behind 0.", 46, least=0),
]
"""The number of a change within its application; the changes begin behind 0."""

Transaction = Annotated[
    int,
    _number("The highest sequence of what was committed together with it.", 47, least=1),
]
"""The highest sequence of the changes that were committed together."""

Count = Annotated[
    int,
    Field(ge=0, lt=10**18),
    BeforeValidator(_decimal),
    _number("How many.", 2, least=0),
]
"""How many, in a query."""

Limit = Annotated[
    int,
    Field(ge=1, le=1000, description="The most items that the page holds.", examples=[100]),
    BeforeValidator(_decimal),
]
"""The most items that a page holds."""

Revision = Annotated[
    int,
    Field(ge=1, lt=10**18),
    BeforeValidator(_decimal),
    _number("The number of a revision: 1 when created, one more with each change.", 7, least=1),
]
"""The number of a revision: 1 when created, one more with each change."""

Action = Annotated[
    Literal["create", "update", "delete", "rollback"],
    Field(description="What was done.", examples=["update"]),
]
"""What a revision came from."""

Actor = Annotated[
    str, Field(description="The name of the token that it was done with.", examples=["ci"])
]
"""Who made a revision; `anonymous` without tokens."""

Note = Annotated[
    str | None,
    Field(description="Why it was done, if that was said.", examples=["Refunds count twice"]),
]
"""Why a revision was made, if the request said it."""

Timestamp = Annotated[
    str,
    _schema(
        "When it was done (RFC 3339, in UTC).", "2026-01-02T03:04:05.000600Z", format="date-time"
    ),
]
"""RFC 3339 in UTC with six digits of the fraction, as `rfc3339` of the database makes it."""


_POINTER = r"^(/([^\u0000~/]|~[01])*)*$"


def _pointer(text: str) -> str:
    if not re.fullmatch(_POINTER, text):
        raise PydanticCustomError("pointer", "Input should be a JSON Pointer, such as /vat/fr")
    return text


Pointer = Annotated[
    str,
    AfterValidator(_pointer),
    WithJsonSchema({"type": "string", "pattern": _POINTER, "examples": ["/vat/fr"]}),
]
"""A JSON Pointer (RFC 6901)."""


def tokens(pointer: str) -> list[str]:
    """The reference tokens of a JSON Pointer, unescaped (RFC 6901 §3 and §4)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


class RequestModel(BaseModel):
    """A request's body: an unknown member is refused rather than dropped."""

    model_config = ConfigDict(extra="forbid")


def _in_batches(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    valid = dict[str, Any]()
    for batch in batched(_object(value).items(), 100, strict=False):
        valid |= handler(dict(batch))
    return valid


InBatches = WrapValidator(_in_batches)
"""For an object of very many items: what is wrong with some of them is told without a look at all
that follow, for a million faults would take a gigabyte of memory."""


def _different(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("different", "Input should not have anything twice")
    return values


Different = AfterValidator(_different)
"""For a list in which nothing is twice."""

Item = BeforeValidator(_object)
"""For a RequestModel within another: says of something else that it should be an object."""


def _without_null(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    return handler(get_args(source)[0])


T = TypeVar("T")
Omissible = Annotated[T | None, GetPydanticSchema(_without_null)]
"""A member that may be left out, and is None then. A null that is sent is refused."""
