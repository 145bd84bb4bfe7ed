from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import DRY_RUN, state
from wire.links import location
from wire.route import ExactRoute, invalid

from . import repository
from .models import CreateCheckRequest, CreateCheckResponse

router = APIRouter(tags=["checks"], route_class=ExactRoute, dependencies=[DRY_RUN])


@router.post(
    "/api/v1/checks",
    status_code=201,
    responses={409: {"description": "The documents fail it, or there are 16 checks already"}},
)
async def create_check(
    request: Request, body: CreateCheckRequest, response: Response
) -> CreateCheckResponse:
    """Tie a JSON Schema to what programs read. From then on no change counts that would break it.

    Where a layer is missing that is not optional, there is nothing to check yet.
    """
    if not set(body.optional) <= set(body.layers):
        raise invalid("body", "optional", detail="Each optional one is also a layer")
    try:
        created = await repository.create(
            body.application_id, body.schema_id, body.layers, body.optional
        )
    except repository.NoSuchApplication:
        raise invalid("body", "application_id", detail="There is no such application") from None
    except repository.NoSuchSchema:
        detail = "The application has no such configuration"
        raise invalid("body", "schema_id", detail=detail) from None
    except repository.TooMany:
        raise HTTPException(409, "An application has at most 16 checks.") from None
    response.headers["Location"] = location(request, f"/api/v1/checks/{created['id']}")
    response.headers.update(state(None, 1))
    return CreateCheckResponse(**created)
