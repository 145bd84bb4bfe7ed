from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import DRY_RUN, state
from wire.preconditions import IfMatch, Precondition
from wire.route import ExactRoute, invalid
from wire.types import CheckId

from . import repository
from .models import ReplaceCheckRequest, ReplaceCheckResponse

router = APIRouter(tags=["checks"], route_class=ExactRoute, dependencies=[DRY_RUN])


@router.put(
    "/api/v1/checks/{id}",
    responses={
        404: {"description": "There is no such check"},
        409: {"description": "The documents fail it"},
        412: {"description": "If-Match names another revision"},
        428: {"description": "If-Match is required"},
    },
)
async def replace_check(
    request: Request,
    id: CheckId,
    body: ReplaceCheckRequest,
    response: Response,
    if_match: IfMatch = None,
) -> ReplaceCheckResponse:
    """Replace a check. `optional` left out becomes empty."""
    if body.id not in (None, id):
        raise invalid("body", "id", detail="This is not the id of the path")
    if not set(body.optional) <= set(body.layers):
        raise invalid("body", "optional", detail="Each optional one is also a layer")
    precondition = Precondition.of(request, if_match)
    try:
        replaced = await repository.replace(
            id,
            body.application_id,
            body.schema_id,
            body.layers,
            body.optional,
            precondition.revisions,
        )
    except repository.NotFound:
        raise HTTPException(404, "There is no such check.") from None
    except repository.OtherApplication:
        detail = "A check stays with its application"
        raise invalid("body", "application_id", detail=detail) from None
    except repository.NoSuchSchema:
        detail = "The application has no such configuration"
        raise invalid("body", "schema_id", detail=detail) from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.revision) from None
    response.headers.update(state(replaced["found"], replaced["revision"]))
    return ReplaceCheckResponse(**replaced)
