from fastapi import APIRouter, HTTPException

from fields import ExactRoute, Ulid, invalid

from . import repository
from .models import ReplaceApplicationRequest, ReplaceApplicationResponse

router = APIRouter(tags=["applications"], route_class=ExactRoute)


@router.put(
    "/api/v1/applications/{id}",
    responses={
        404: {"description": "There is no such application"},
        409: {"description": "The name is taken"},
    },
)
async def replace_application(
    id: Ulid, body: ReplaceApplicationRequest
) -> ReplaceApplicationResponse:
    """Replace an application. `comments` left out become null."""
    if body.id not in (None, id):
        raise invalid("body", "id", detail="This is not the id of the path")
    try:
        replaced = await repository.replace(id, body.name, body.comments)
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    except repository.NameTaken:
        raise HTTPException(409, f"The name {body.name!r} is taken.") from None
    return ReplaceApplicationResponse(**replaced)
