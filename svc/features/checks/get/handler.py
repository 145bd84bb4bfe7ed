from fastapi import APIRouter, HTTPException, Response

from wire.preconditions import IfNoneMatch, entity_tag, matches
from wire.route import ExactRoute
from wire.types import CheckId

from . import repository
from .models import GetCheckResponse

router = APIRouter(tags=["checks"], route_class=ExactRoute)


@router.get(
    "/api/v1/checks/{id}",
    response_model=GetCheckResponse,
    responses={
        304: {"description": "It is what If-None-Match says"},
        404: {"description": "There is no such check"},
    },
)
async def get_check(
    id: CheckId, response: Response, if_none_match: IfNoneMatch = None
) -> GetCheckResponse | Response:
    """A check: which schema holds for which layers."""
    try:
        found = await repository.get(id)
    except repository.NotFound:
        raise HTTPException(404, "There is no such check.") from None
    tag = entity_tag(found["revision"])
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if matches(if_none_match, tag):
        return Response(None, 304, headers)
    response.headers.update(headers)
    return GetCheckResponse(**found)
