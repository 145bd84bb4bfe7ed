from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import CHANGE, state
from wire.links import location
from wire.route import ExactRoute, invalid

from . import repository
from .models import CreateConfigurationRequest, CreateConfigurationResponse

router = APIRouter(tags=["configurations"], route_class=ExactRoute, dependencies=[CHANGE])


@router.post(
    "/api/v1/configurations",
    status_code=201,
    response_model=CreateConfigurationResponse,
    responses={409: {"description": "The name is taken in this application"}},
)
async def create_configuration(request: Request, body: CreateConfigurationRequest) -> Response:
    """Create a configuration. `config` is `{}` when left out. `Location` tells where it is."""
    try:
        created = await repository.create(
            body.application_id, body.name, body.comments, body.config
        )
    except repository.NoSuchApplication:
        raise invalid("body", "application_id", detail="There is no such application") from None
    except repository.TooLarge:
        raise HTTPException(413, "The document is too large as it would be given back.") from None
    except repository.NameTaken:
        raise HTTPException(409, f"The name “{body.name}” is taken.") from None
    where = location(request, f"/api/v1/configurations/{created['id']}")
    headers = {"Location": where, **state(None, 1)}
    return Response(created["body"], 201, headers, "application/json")
