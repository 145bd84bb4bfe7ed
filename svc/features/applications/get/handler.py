from fastapi import APIRouter, HTTPException

from fields import ExactRoute, Ulid

from . import repository
from .models import GetApplicationResponse

router = APIRouter(tags=["applications"], route_class=ExactRoute)


@router.get(
    "/api/v1/applications/{id}",
    responses={404: {"description": "There is no such application"}},
)
async def get_application(id: Ulid) -> GetApplicationResponse:
    """An application, with the ids of all its configurations, ascending."""
    try:
        return GetApplicationResponse(**await repository.get(id))
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
