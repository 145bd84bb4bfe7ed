from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from wire.changes import CHANGE, state
from wire.preconditions import IfMatch, Precondition
from wire.refusals import too_large
from wire.route import ExactRoute, invalid
from wire.types import ApplicationId, Count

from . import repository
from .models import RollbackContentRequest, RollbackContentResponse

router = APIRouter(tags=["content"], route_class=ExactRoute, dependencies=[CHANGE])


@router.post(
    "/api/v1/applications/{id}/rollback",
    response_model=RollbackContentResponse,
    responses={
        404: {"description": "There is no such application"},
        410: {"description": "History does not have all of it any more"},
        409: {"description": "It would delete another number of configurations than `deletes`"},
        412: {"description": "If-Match names another sequence"},
        413: {"description": "The body is too large, or a document as it would be given back"},
        428: {"description": "There is no If-Match"},
    },
)
async def rollback_content(
    request: Request,
    id: ApplicationId,
    body: RollbackContentRequest,
    deletes: Annotated[
        Count, Query(description="How many configurations this deletes, exactly.", examples=[2])
    ] = 0,
    if_match: IfMatch = None,
) -> Response:
    """Make all configurations of an application what they were with one of its changes.

    Changed ones change back, deleted ones come back under their ids, and later ones are deleted:
    `deletes` has to say how many those are. Needs `If-Match`; `*` will do.
    """
    precondition = Precondition(if_match, is_required=True)
    try:
        rolled = await repository.rollback(id, body.sequence, deletes, precondition.revisions)
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    except repository.InFuture:
        raise invalid("body", "sequence", detail="This is in the future") from None
    except repository.Trimmed:
        raise HTTPException(410, "History does not have all of this any more.") from None
    except repository.PreconditionFailed as failed:
        raise precondition.refusal(failed.sequence) from None
    except repository.TooLarge as large:
        faults = [(("body", "sequence"), f"“{name}” is too large") for name in large.names]
        raise too_large(faults) from None
    except repository.OtherDeletions as other:
        first = ", ".join(f"“{name}”" for name in other.names[:3])
        which = f" ({first}{', …' if other.number > 3 else ''})" if first else ""
        detail = (
            f"The number of configurations that this deletes is {other.number}{which}, not"
            f" {deletes}. If that is meant, say deletes={other.number}."
        )
        raise HTTPException(409, detail) from None
    headers = state(rolled["previous"], rolled["sequence"])
    return Response(rolled["body"], 200, headers, "application/json")
