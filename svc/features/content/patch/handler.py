from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Request, Response

from wire.changes import CHANGE, state
from wire.preconditions import IfMatch, Precondition, entity_tag
from wire.refusals import Refused, too_large
from wire.route import ContentRoute
from wire.types import ApplicationId

from . import repository
from .models import PatchContentRequest, PatchContentResponse

router = APIRouter(tags=["content"], route_class=ContentRoute, dependencies=[CHANGE])


@router.patch(
    "/api/v1/applications/{id}/content",
    response_model=PatchContentResponse,
    responses={
        404: {"description": "There is no such application"},
        412: {"description": "Another sequence than in If-Match, or other revisions: see errors"},
        413: {"description": "The body is too large, or some of its documents: see errors"},
        428: {"description": "If-Match is required"},
    },
)
async def patch_content(
    request: Request,
    id: ApplicationId,
    body: Annotated[PatchContentRequest, Body(media_type="application/merge-patch+json")],
    if_match: IfMatch = None,
) -> Response:
    """Change several configurations of an application by a merge patch (RFC 7396): all or none.

    Null deletes a configuration, and a name that is not there yet is created.
    """
    precondition = Precondition.of(request, if_match)
    items = body.model_dump(exclude_unset=True)["configurations"]
    try:
        patched = await repository.patch(id, items, precondition.revisions)
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.sequence) from None
    except repository.OtherRevisions as failed:
        detail = "Some configurations are at other revisions than the patch says."
        faults = [(("body", "configurations", name), "Another revision") for name in failed.names]
        raise Refused(412, detail, faults, {"ETag": entity_tag(failed.sequence)}) from None
    except repository.TooLarge as large:
        faults = [(("body", "configurations", name), "Too large") for name in large.names]
        raise too_large(faults) from None
    headers = state(patched["previous"], patched["sequence"])
    return Response(patched["body"], 200, headers, "application/json")
