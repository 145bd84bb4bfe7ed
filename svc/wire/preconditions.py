"""Preconditions (RFC 9110 §13): entity tags, If-Match and If-None-Match, 412 and 428."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Header, HTTPException, Request
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

# What OpenAPI publishes: * and the plain spelling of a list. More is understood.
_ENTITY_TAGS = r'^(\*|(W/)?"[!#-~]*"(, (W/)?"[!#-~]*")*)$'

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*+"'
# A list with a comma behind each element, which may be empty (RFC 9110 §5.6.1). No repetition gives
# back what it took (`*+`), so that an element is read once, whether or not it is well formed.
_LIST = re.compile(rf"(?:[ \t]*+(?:{_TAG})?+[ \t]*+,)*+")


def _entity_tags(lines: list[str] | None) -> list[str] | None:
    if lines is None:
        return None
    text = ", ".join(lines)
    if text.strip(" \t") == "*":
        return ["*"]
    tags = re.findall(_TAG, text) if _LIST.fullmatch(text + ",") else []
    if not tags:
        raise PydanticCustomError("entity_tag", "Input should be * or a list of entity tags")
    return tags


EntityTags = Annotated[
    list[str] | None,
    AfterValidator(_entity_tags),
    WithJsonSchema({"type": "string", "pattern": _ENTITY_TAGS, "examples": ['"7"']}),
]
"""The entity tags of a header, `["*"]` for any, or None where there is no header."""

IfMatch = Annotated[
    EntityTags,
    Header(description="The `ETag` that the change starts from: where it is another now, 412."),
]
"""The value of If-Match (RFC 9110 §13.1.1)."""

IfNoneMatch = Annotated[
    EntityTags, Header(description="The `ETag` that the client has: where it is still so, 304.")
]
"""The value of If-None-Match (RFC 9110 §13.1.2)."""


def entity_tag(revision: int) -> str:
    """The strong entity tag of a revision."""
    return f'"{revision}"'


def matches(if_none_match: list[str] | None, tag: str) -> bool:
    """Whether `tag` is among the tags, by the weak comparison (RFC 9110 §13.1.2)."""
    given = {one.removeprefix("W/") for one in if_none_match or []}
    return "*" in given or tag in given


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a change demands of the present revision (If-Match, RFC 9110 §13.1.1)."""

    tags: list[str] | None
    is_required: bool

    @classmethod
    def of(cls, request: Request, if_match: list[str] | None) -> "Precondition":
        """That of the request; REQUIRE_IF_MATCH makes it required."""
        return cls(if_match, request.app.state.settings.require_if_match)

    @property
    def is_given(self) -> bool:
        """Whether the request has If-Match."""
        return self.tags is not None

    @property
    def revisions(self) -> list[int] | None:
        """The revisions that the change may start from: None for any, empty for none.

        By the strong comparison, so that a weak tag matches none. A precondition that is required
        but missing matches none either.
        """
        if self.tags is None:
            return [] if self.is_required else None
        if self.tags == ["*"]:
            return None
        return [int(tag[1:-1]) for tag in self.tags if re.fullmatch('"(0|[1-9][0-9]{0,17})"', tag)]

    def refusal(self, revision: int | None) -> HTTPException:
        """412, with the ETag of the current `revision` if there is one, or 428 without If-Match."""
        headers = {} if revision is None else {"ETag": entity_tag(revision)}
        if not self.is_given:
            return HTTPException(428, "A change needs If-Match.", headers)
        return HTTPException(412, "The current revision is another than If-Match says.", headers)
