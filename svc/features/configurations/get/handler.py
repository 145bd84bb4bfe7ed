from fastapi import APIRouter, HTTPException, Response

from fields import ExactRoute, Ulid

from . import repository
from .models import GetConfigurationResponse

router = APIRouter(tags=["configurations"], route_class=ExactRoute)


@router.get(
    "/api/v1/configurations/{id}",
    response_model=GetConfigurationResponse,
    responses={404: {"description": "There is no such configuration"}},
)
async def get_configuration(id: Ulid) -> Response:
    """A configuration, with its document as it was sent."""
    try:
        return Response(await repository.get(id), media_type="application/json")
    except repository.NotFound:
        raise HTTPException(404, "There is no such configuration.") from None
