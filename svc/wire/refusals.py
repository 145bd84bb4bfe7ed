"""A refusal that says which parts of a request it is about."""

from collections.abc import Mapping, Sequence

from fastapi import HTTPException

type Fault = tuple[tuple[str | int, ...], str]


class Refused(HTTPException):
    """An error answer with `errors`, of which the first 20 are told.

    Each is a location, such as `("body", "configurations", "eu")`, and what is wrong there, without
    a full stop.
    """

    def __init__(
        self,
        status_code: int,
        detail: str,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status_code, detail, dict(headers or {}))
        self.errors = list(errors)


def too_large(errors: Sequence[Fault]) -> Refused:
    """The refusal (413) of documents that `errors` names; of all together, where it names none."""
    if errors:
        detail = "Some documents are too large as they would be given back."
    else:
        detail = "All of this together is too large as it would be given back."
    return Refused(413, detail, errors)
