from fastapi import APIRouter, HTTPException, Response

from fields import EntityTags, ExactRoute, Ulid, entity_tag, matches

from . import repository
from .models import GetConfigurationResponse

router = APIRouter(tags=["configurations"], route_class=ExactRoute)


@router.get(
    "/api/v1/configurations/{id}",
    response_model=GetConfigurationResponse,
    responses={
        304: {"description": "It is what If-None-Match says"},
        404: {"description": "There is no such configuration"},
    },
)
async def get_configuration(id: Ulid, if_none_match: EntityTags = None) -> Response:
    """A configuration, with its document as it was sent."""
    try:
        found = await repository.get(id)
    except repository.NotFound:
        raise HTTPException(404, "There is no such configuration.") from None
    tag = entity_tag(found["revision"])
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if matches(if_none_match, tag):
        return Response(None, 304, headers)
    return Response(found["body"], 200, headers, "application/json")
