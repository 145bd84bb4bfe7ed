from fastapi import APIRouter, HTTPException

from fields import ExactRoute, Ulid

from . import repository

router = APIRouter(tags=["applications"], route_class=ExactRoute)


@router.delete(
    "/api/v1/applications/{id}",
    status_code=204,
    responses={404: {"description": "There is no such application"}},
)
async def delete_application(id: Ulid) -> None:
    """Delete an application and all its configurations."""
    try:
        await repository.delete(id)
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
