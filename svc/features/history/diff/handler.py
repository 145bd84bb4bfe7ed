from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response

from wire.route import ExactRoute
from wire.types import ConfigurationId, Revision

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
        404: {"description": "There is no such revision"},
    },
)
async def diff_revisions(
    id: ConfigurationId,
    source: Annotated[Revision, Query(alias="from", description="The revision to begin with.")],
    target: Annotated[
        Revision, Query(alias="to", description="The revision to end with.", examples=[9])
    ],
) -> Response:
    """The JSON Patch (RFC 6902) that turns the `config` of one revision into that of another."""
    try:
        return JsonPatchResponse(await repository.diff(id, source, target))
    except repository.NotFound as missing:
        raise HTTPException(404, f"There is no revision {missing.revision}.") from None
