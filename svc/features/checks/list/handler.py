from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from wire.links import next_link
from wire.route import ExactRoute
from wire.types import ApplicationId, Limit, Omissible, Ulid

from . import repository
from .models import ListChecksResponse

router = APIRouter(tags=["checks"], route_class=ExactRoute)


@router.get("/api/v1/checks")
async def list_checks(
    request: Request,
    response: Response,
    limit: Limit = 100,
    after: Annotated[Omissible[Ulid], Query(description="The page begins behind this id.")] = None,
    application_id: Omissible[ApplicationId] = None,
) -> list[ListChecksResponse]:
    """A page of checks, ascending by id, behind the id `after`. `Link` leads to the next."""
    rows = await repository.list_after(after, application_id, limit + 1)
    page = [ListChecksResponse(**row) for row in rows[:limit]]
    if len(rows) > limit:
        response.headers["Link"] = next_link(
            request, "/api/v1/checks", application_id=application_id, limit=limit, after=page[-1].id
        )
    return page
