from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from wire.links import next_link
from wire.route import ExactRoute
from wire.types import ApplicationName, Limit, Omissible, Ulid

from . import repository
from .models import ListApplicationsResponse

router = APIRouter(tags=["applications"], route_class=ExactRoute)


@router.get("/api/v1/applications")
async def list_applications(
    request: Request,
    response: Response,
    limit: Limit = 100,
    after: Annotated[Omissible[Ulid], Query(description="The page begins behind this id.")] = None,
    name: Omissible[ApplicationName] = None,
) -> list[ListApplicationsResponse]:
    """A page of applications, ascending by id, behind the id `after`. `Link` leads to the next."""
    rows = await repository.list_after(after, name, limit + 1)
    page = [ListApplicationsResponse(**row) for row in rows[:limit]]
    if len(rows) > limit:
        response.headers["Link"] = next_link(
            request, "/api/v1/applications", name=name, limit=limit, after=page[-1].id
        )
    return page
