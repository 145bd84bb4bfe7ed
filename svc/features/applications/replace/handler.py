from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import DRY_RUN, state
from wire.preconditions import IfMatch, Precondition
from wire.route import ExactRoute, invalid
from wire.types import ApplicationId

from . import repository
from .models import ReplaceApplicationRequest, ReplaceApplicationResponse

router = APIRouter(tags=["applications"], route_class=ExactRoute, dependencies=[DRY_RUN])


@router.put(
    "/api/v1/applications/{id}",
    responses={
        404: {"description": "There is no such application"},
        409: {"description": "The name is taken"},
        412: {"description": "If-Match names another revision"},
        428: {"description": "If-Match is required"},
    },
)
async def replace_application(
    request: Request,
    id: ApplicationId,
    body: ReplaceApplicationRequest,
    response: Response,
    if_match: IfMatch = None,
) -> ReplaceApplicationResponse:
    """Replace an application. `comments` left out become null."""
    if body.id not in (None, id):
        raise invalid("body", "id", detail="This is not the id of the path")
    precondition = Precondition.of(request, if_match)
    try:
        replaced = await repository.replace(id, body.name, body.comments, precondition.revisions)
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.revision) from None
    except repository.NameTaken:
        raise HTTPException(409, f"The name “{body.name}” is taken.") from None
    response.headers.update(state(replaced["found"], replaced["revision"]))
    return ReplaceApplicationResponse(**replaced)
