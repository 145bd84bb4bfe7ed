from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import CHANGE, state
from wire.preconditions import IfMatch, Precondition
from wire.route import ExactRoute
from wire.types import ConfigurationId

from . import repository

router = APIRouter(tags=["configurations"], route_class=ExactRoute, dependencies=[CHANGE])


@router.delete(
    "/api/v1/configurations/{id}",
    status_code=204,
    responses={
        404: {"description": "There is no such configuration"},
        412: {"description": "If-Match names another revision"},
        428: {"description": "If-Match is required"},
    },
)
async def delete_configuration(
    request: Request, id: ConfigurationId, if_match: IfMatch = None
) -> Response:
    """Delete a configuration."""
    precondition = Precondition.of(request, if_match)
    try:
        deleted = await repository.delete(id, precondition.revisions)
    except repository.NotFound:
        raise HTTPException(404, "There is no such configuration.") from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.revision) from None
    return Response(status_code=204, headers=state(deleted, None))
