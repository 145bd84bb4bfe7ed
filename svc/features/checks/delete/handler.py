from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import DRY_RUN, state
from wire.preconditions import IfMatch, Precondition
from wire.route import ExactRoute
from wire.types import CheckId

from . import repository

router = APIRouter(tags=["checks"], route_class=ExactRoute, dependencies=[DRY_RUN])


@router.delete(
    "/api/v1/checks/{id}",
    status_code=204,
    responses={
        404: {"description": "There is no such check"},
        412: {"description": "If-Match names another revision"},
        428: {"description": "If-Match is required"},
    },
)
async def delete_check(request: Request, id: CheckId, if_match: IfMatch = None) -> Response:
    """Delete a check. Its schema stays, as a configuration like any other."""
    precondition = Precondition.of(request, if_match)
    try:
        deleted = await repository.delete(id, precondition.revisions)
    except repository.NotFound:
        raise HTTPException(404, "There is no such check.") from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.revision) from None
    return Response(status_code=204, headers=state(deleted, None))
