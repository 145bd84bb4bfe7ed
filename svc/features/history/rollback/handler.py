from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import CHANGE, state
from wire.preconditions import IfMatch, Precondition
from wire.route import ExactRoute, invalid
from wire.types import ConfigurationId

from . import repository
from .models import RollbackConfigurationRequest, RollbackConfigurationResponse

router = APIRouter(tags=["history"], route_class=ExactRoute, dependencies=[CHANGE])


@router.post(
    "/api/v1/configurations/{id}/rollback",
    response_model=RollbackConfigurationResponse,
    responses={
        404: {"description": "There is and was no such configuration"},
        409: {"description": "Its application is gone, or its name is taken"},
        412: {"description": "If-Match names another revision"},
        413: {"description": "The body is too large, or the document as it would be given back"},
        428: {"description": "If-Match is required"},
    },
)
async def rollback_configuration(
    request: Request,
    id: ConfigurationId,
    body: RollbackConfigurationRequest,
    if_match: IfMatch = None,
) -> Response:
    """Make a configuration what it was at a revision. A deleted one comes back this way."""
    precondition = Precondition.of(request, if_match)
    try:
        now = await repository.rollback(
            id,
            body.revision,
            precondition.revisions,
            # Where it was deleted there is nothing that If-Match could match, or be required for.
            may_be_deleted=not precondition.is_given,
        )
    except repository.NotFound:
        raise HTTPException(404, "There is and was no such configuration.") from None
    except repository.NoSuchRevision:
        raise invalid("body", "revision", detail="There is no such revision") from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.revision) from None
    except repository.TooLarge:
        raise HTTPException(413, "The document is too large as it would be given back.") from None
    except repository.ApplicationGone:
        raise HTTPException(409, "Its application was deleted.") from None
    except repository.NameTaken:
        raise HTTPException(409, "The name that it had is taken.") from None
    headers = state(now["found"], now["revision"])
    return Response(now["body"], 200, headers, "application/json")
