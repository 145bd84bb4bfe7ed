from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import CHANGE, state
from wire.preconditions import IfMatch, Precondition
from wire.route import ExactRoute
from wire.types import ApplicationId

from . import repository

router = APIRouter(tags=["applications"], route_class=ExactRoute, dependencies=[CHANGE])


@router.delete(
    "/api/v1/applications/{id}",
    status_code=204,
    responses={
        404: {"description": "There is no such application"},
        412: {"description": "If-Match names another revision"},
        428: {"description": "If-Match is required"},
    },
)
async def delete_application(
    request: Request, id: ApplicationId, if_match: IfMatch = None
) -> Response:
    """Delete an application and all its configurations."""
    precondition = Precondition.of(request, if_match)
    try:
        deleted = await repository.delete(id, precondition.revisions)
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.revision) from None
    return Response(status_code=204, headers=state(deleted, None))
