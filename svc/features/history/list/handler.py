from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from wire.links import next_link
from wire.route import ExactRoute
from wire.types import ConfigurationId, Limit, Omissible, Pointer, Revision, tokens

from . import repository
from .models import ListRevisionsResponse

router = APIRouter(tags=["history"], route_class=ExactRoute)


@router.get(
    "/api/v1/configurations/{id}/revisions",
    response_model=list[ListRevisionsResponse],
    response_model_exclude_unset=True,
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
    path: Annotated[
        Omissible[Pointer], Query(description="Only revisions in which the value there changed.")
    ] = None,
) -> list[ListRevisionsResponse] | Response:
    """A configuration's revisions, newest first, also after it was deleted. `Link` leads on.

    With `path`, a JSON Pointer (RFC 6901) such as `/vat/fr`, only those in which that value became
    another, each with its `value`. That may take several pages, some of them empty.
    """
    where = f"/api/v1/configurations/{id}/revisions"
    try:
        if path is not None:
            found = await repository.list_changes_of(id, tokens(path), before, limit)
            headers = {}
            if found["before"] is not None:
                headers["Link"] = next_link(
                    request, where, limit=limit, before=found["before"], path=path
                )
            return Response(found["body"], 200, headers, "application/json")
        rows = await repository.list_before(id, before, limit + 1)
    except repository.NotFound:
        raise HTTPException(404, "There is and was no such configuration.") from None
    page = [ListRevisionsResponse(**row) for row in rows[:limit]]
    if len(rows) > limit:
        response.headers["Link"] = next_link(request, where, limit=limit, before=page[-1].revision)
    return page
