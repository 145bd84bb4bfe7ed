from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

import database
from wire.prefer import Prefer, wait_seconds
from wire.route import ExactRoute
from wire.types import ApplicationId, Limit, Sequence

from . import repository
from .models import ListChangesResponse

router = APIRouter(tags=["delivery"], route_class=ExactRoute)


@router.get(
    "/api/v1/applications/{id}/changes",
    response_model=ListChangesResponse,
    responses={404: {"description": "There is no such application"}},
)
async def list_changes(
    request: Request,
    id: ApplicationId,
    after: Annotated[Sequence, Query(description="The changes begin behind this one.")] = 0,
    limit: Limit = 100,
    prefer: Prefer = None,
) -> Response:
    """An application's changes behind `after`, in the order of their commits: none is left out.

    With `Prefer: wait=30` it waits while there is nothing to tell.
    """
    look, wait = partial(repository.list_after, id, after, limit), wait_seconds(request, prefer)
    try:
        if wait:
            page = await database.wait(look, lambda page: page["next"] > after, wait, lambda _: id)
        else:
            page = await look()
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    headers = {} if wait is None else {"Preference-Applied": f"wait={wait}"}
    return Response(page["body"], 200, headers, "application/json")
