from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from wire.links import next_link
from wire.route import ExactRoute
from wire.types import ConfigurationId, Limit, Omissible, Revision

from . import repository
from .models import ListRevisionsResponse

router = APIRouter(tags=["history"], route_class=ExactRoute)


@router.get(
    "/api/v1/configurations/{id}/revisions",
    responses={404: {"description": "There is and was no such configuration"}},
)
async def list_revisions(
    id: ConfigurationId,
    request: Request,
    response: Response,
    limit: Limit = 100,
    before: Annotated[
        Omissible[Revision], Query(description="The page has only revisions before this one.")
    ] = None,
) -> list[ListRevisionsResponse]:
    """A configuration's revisions, newest first, also after it was deleted. `Link` leads on."""
    try:
        rows = await repository.list_before(id, before, limit + 1)
    except repository.NotFound:
        raise HTTPException(404, "There is and was no such configuration.") from None
    page = [ListRevisionsResponse(**row) for row in rows[:limit]]
    if len(rows) > limit:
        response.headers["Link"] = next_link(
            request, f"/api/v1/configurations/{id}/revisions", limit=limit, before=page[-1].revision
        )
    return page
