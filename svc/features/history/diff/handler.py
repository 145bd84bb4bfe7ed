from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response

from wire.route import ExactRoute
from wire.types import ConfigurationId, Omissible, Revision

from . import repository
from .models import DiffRevisionsResponse

MEDIA_TYPE = "application/json-patch+json"


class JsonPatchResponse(Response):
    media_type = MEDIA_TYPE


router = APIRouter(tags=["history"], route_class=ExactRoute)


@router.get(
    "/api/v1/configurations/{id}/diff",
    response_class=JsonPatchResponse,
    responses={
        200: {"model": list[DiffRevisionsResponse]},
        404: {"description": "There is no such revision, or no present document"},
    },
)
async def diff_revisions(
    id: ConfigurationId,
    source: Annotated[
        Omissible[Revision],
        Query(alias="from", description="The revision to begin with, or the present document."),
    ] = None,
    target: Annotated[
        Omissible[Revision],
        Query(alias="to", description="The revision to end with, or the present document."),
    ] = None,
    other: Annotated[
        Omissible[ConfigurationId],
        Query(description="The configuration that `to` counts in, if it is another."),
    ] = None,
) -> Response:
    """The JSON Patch (RFC 6902) that turns one `config` into another: of two revisions, or of the
    documents as they are now, also of two configurations."""
    try:
        return JsonPatchResponse(await repository.diff(id, source, other or id, target))
    except repository.NotFound as missing:
        what = (
            "no present document" if missing.revision is None else f"no revision {missing.revision}"
        )
        where = " of the other configuration" if missing.is_other else ""
        raise HTTPException(404, f"There is {what}{where}.") from None
