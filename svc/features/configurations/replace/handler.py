from fastapi import APIRouter, HTTPException, Request, Response

from wire.changes import CHANGE, state
from wire.preconditions import IfMatch, Precondition
from wire.route import ExactRoute, invalid
from wire.types import ConfigurationId

from . import repository
from .models import ReplaceConfigurationRequest, ReplaceConfigurationResponse

router = APIRouter(tags=["configurations"], route_class=ExactRoute, dependencies=[CHANGE])


@router.put(
    "/api/v1/configurations/{id}",
    response_model=ReplaceConfigurationResponse,
    responses={
        404: {"description": "There is no such configuration"},
        409: {"description": "The name is taken in its application"},
        412: {"description": "If-Match names another revision"},
        428: {"description": "If-Match is required"},
    },
)
async def replace_configuration(
    request: Request,
    id: ConfigurationId,
    body: ReplaceConfigurationRequest,
    if_match: IfMatch = None,
) -> Response:
    """Replace a configuration. `comments` left out become null; `config` may not be left out."""
    if body.id not in (None, id):
        raise invalid("body", "id", detail="This is not the id of the path")
    precondition = Precondition.of(request, if_match)
    try:
        replaced = await repository.replace(
            id,
            body.application_id,
            body.name,
            body.comments,
            body.config,
            precondition.revisions,
        )
    except repository.NotFound:
        raise HTTPException(404, "There is no such configuration.") from None
    except repository.OtherApplication:
        detail = "A configuration stays with its application"
        raise invalid("body", "application_id", detail=detail) from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.revision) from None
    except repository.TooLarge:
        raise HTTPException(413, "The document is too large as it would be given back.") from None
    except repository.NameTaken:
        raise HTTPException(409, f"The name “{body.name}” is taken.") from None
    headers = state(replaced["found"], replaced["revision"])
    return Response(replaced["body"], 200, headers, "application/json")
