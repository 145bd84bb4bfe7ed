from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from wire.changes import CHANGE, state
from wire.preconditions import IfMatch, Precondition
from wire.refusals import too_large
from wire.route import ContentRoute
from wire.types import ApplicationId, Count

from . import repository
from .models import ReplaceContentRequest, ReplaceContentResponse

router = APIRouter(tags=["content"], route_class=ContentRoute, dependencies=[CHANGE])


@router.put(
    "/api/v1/applications/{id}/content",
    response_model=ReplaceContentResponse,
    responses={
        404: {"description": "There is no such application"},
        409: {"description": "It would delete another number of configurations than `deletes`"},
        412: {"description": "If-Match names another sequence"},
        413: {"description": "The body is too large, or some of its documents: see errors"},
        428: {"description": "There is no If-Match"},
    },
)
async def replace_content(
    request: Request,
    id: ApplicationId,
    body: ReplaceContentRequest,
    deletes: Annotated[
        Count, Query(description="How many configurations this deletes, exactly.")
    ] = 0,
    if_match: IfMatch = None,
) -> Response:
    """Make the configurations of an application what they are here: all of that, or nothing.

    What is not named is deleted, and `deletes` has to say how many those are: a file that was cut
    off does not empty production. What is equal is left alone. Needs `If-Match`; `*` will do.
    """
    precondition = Precondition(if_match, is_required=True)
    try:
        replaced = await repository.replace(
            id, body.configurations, deletes, precondition.revisions
        )
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.sequence) from None
    except repository.TooLarge as large:
        faults = [(("body", "configurations", name), "Too large") for name in large.names]
        raise too_large(faults) from None
    except repository.OtherDeletions as other:
        first = ", ".join(f"“{name}”" for name in other.names[:3])
        which = f" ({first}{', …' if other.number > 3 else ''})" if first else ""
        detail = (
            f"The number of configurations that this deletes is {other.number}{which}, not"
            f" {deletes}. If that is meant, say deletes={other.number}."
        )
        raise HTTPException(409, detail) from None
    headers = state(replaced["previous"], replaced["sequence"])
    return Response(replaced["body"], 200, headers, "application/json")
