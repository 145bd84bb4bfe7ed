from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

import database
from wire.prefer import Prefer, wait_seconds
from wire.route import ExactRoute
from wire.types import ApplicationId, Limit, Sequence

from . import repository
from .models import Change, ListChangesResponse

router = APIRouter(tags=["delivery"], route_class=ExactRoute)


@router.get(
    "/api/v1/applications/{id}/changes",
    responses={404: {"description": "There is no such application"}},
)
async def list_changes(
    request: Request,
    id: ApplicationId,
    response: Response,
    after: Annotated[Sequence, Query(description="The changes begin behind this one.")] = 0,
    limit: Limit = 100,
    prefer: Prefer = None,
) -> ListChangesResponse:
    """An application's changes behind `after`, in the order of their commits: none is left out.

    With `Prefer: wait=30` it waits while there is nothing to tell.
    """
    look, wait = partial(repository.list_after, id, after, limit), wait_seconds(request, prefer)
    try:
        rows = await database.wait(look, bool, wait, lambda _: id) if wait else await look()
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    if wait is not None:
        response.headers["Preference-Applied"] = f"wait={wait}"
    changes = [Change(**row) for row in rows]
    return ListChangesResponse(changes=changes, next=changes[-1].sequence if changes else after)
