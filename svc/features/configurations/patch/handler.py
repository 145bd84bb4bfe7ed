from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Request, Response

from wire.changes import CHANGE, state
from wire.preconditions import IfMatch, Precondition
from wire.route import ExactRoute, invalid
from wire.types import ConfigurationId

from . import repository
from .models import PatchConfigurationRequest, PatchConfigurationResponse

router = APIRouter(tags=["configurations"], route_class=ExactRoute, dependencies=[CHANGE])


@router.patch(
    "/api/v1/configurations/{id}",
    response_model=PatchConfigurationResponse,
    responses={
        404: {"description": "There is no such configuration"},
        409: {"description": "The name is taken in its application"},
        412: {"description": "If-Match names another revision"},
        428: {"description": "If-Match is required"},
    },
)
async def patch_configuration(
    request: Request,
    id: ConfigurationId,
    body: Annotated[PatchConfigurationRequest, Body(media_type="application/merge-patch+json")],
    if_match: IfMatch = None,
) -> Response:
    """Change part of a configuration by a merge patch (RFC 7396), atomically."""
    members = body.model_dump(exclude_unset=True)
    if members.get("id", id) != id:
        raise invalid("body", "id", detail="This is not the id of the path")
    precondition = Precondition.of(request, if_match)
    try:
        patched = await repository.patch(id, members, precondition.revisions)
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
    headers = state(patched["found"], patched["revision"])
    return Response(patched["body"], 200, headers, "application/json")
