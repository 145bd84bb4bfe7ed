from fastapi import APIRouter, HTTPException

from fields import ExactRoute, Ulid

from . import repository

router = APIRouter(tags=["configurations"], route_class=ExactRoute)


@router.delete(
    "/api/v1/configurations/{id}",
    status_code=204,
    responses={404: {"description": "There is no such configuration"}},
)
async def delete_configuration(id: Ulid) -> None:
    """Delete a configuration."""
    try:
        await repository.delete(id)
    except repository.NotFound:
        raise HTTPException(404, "There is no such configuration.") from None
