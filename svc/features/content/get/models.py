from pydantic import BaseModel, Field

from wire.types import Comments, ConfigObject, Revision, Sequence


class GetContentItem(BaseModel):
    """A configuration, by its name."""

    revision: Revision
    comments: Comments | None
    config: ConfigObject


class GetContentResponse(BaseModel):
    """All configurations of an application, in the order of their names."""

    sequence: Sequence
    configurations: dict[str, GetContentItem] = Field(
        description="By their names.",
        examples=[{"production": {"revision": 3, "comments": "For EU", "config": {"retries": 3}}}],
    )
