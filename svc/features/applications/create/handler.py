from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import DRY_RUN, state
from wire.links import location
from wire.route import ExactRoute

from . import repository
from .models import CreateApplicationRequest, CreateApplicationResponse

router = APIRouter(tags=["applications"], route_class=ExactRoute, dependencies=[DRY_RUN])


@router.post(
    "/api/v1/applications",
    status_code=201,
    responses={409: {"description": "The name is taken"}},
)
async def create_application(
    request: Request, body: CreateApplicationRequest, response: Response
) -> CreateApplicationResponse:
    """Create an application. `Location` tells where it is."""
    try:
        created = await repository.create(body.name, body.comments)
    except repository.NameTaken:
        raise HTTPException(409, f"The name “{body.name}” is taken.") from None
    response.headers["Location"] = location(request, f"/api/v1/applications/{created['id']}")
    response.headers.update(state(None, 1))
    return CreateApplicationResponse(**created)
