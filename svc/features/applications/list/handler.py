from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from wire.links import next_link
from wire.route import ExactRoute
from wire.types import ApplicationName, Limit, Omissible, Ulid

from . import repository
from .models import ListApplicationsResponse

router = APIRouter(tags=["applications"], route_class=ExactRoute)


@router.get("/api/v1/applications", response_model=list[ListApplicationsResponse])
async def list_applications(
    request: Request,
    limit: Limit = 100,
    after: Annotated[Omissible[Ulid], Query(description="The page begins behind this id.")] = None,
    name: Omissible[ApplicationName] = None,
) -> Response:
    """A page of applications, ascending by id, behind the id `after`. `Link` leads to the next."""
    page = await repository.list_after(after, name, limit)
    headers = {}
    if page["next"]:
        headers["Link"] = next_link(
            request, "/api/v1/applications", name=name, limit=limit, after=page["next"]
        )
    return Response(page["body"], 200, headers, "application/json")
