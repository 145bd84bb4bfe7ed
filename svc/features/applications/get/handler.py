from fastapi import APIRouter, HTTPException, Response

from wire.preconditions import IfNoneMatch, entity_tag, matches
from wire.route import ExactRoute
from wire.types import ApplicationId

from . import repository
from .models import GetApplicationResponse

router = APIRouter(tags=["applications"], route_class=ExactRoute)


@router.get(
    "/api/v1/applications/{id}",
    response_model=GetApplicationResponse,
    responses={
        304: {"description": "It is what If-None-Match says"},
        404: {"description": "There is no such application"},
    },
)
async def get_application(
    id: ApplicationId, response: Response, if_none_match: IfNoneMatch = None
) -> GetApplicationResponse | Response:
    """An application, with the ids of all its configurations, ascending."""
    try:
        found = await repository.get(id)
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    tag = entity_tag(found["revision"])
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if matches(if_none_match, tag):
        return Response(None, 304, headers)
    response.headers.update(headers)
    return GetApplicationResponse(**found)
