from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from wire.links import next_link
from wire.route import ExactRoute
from wire.types import ApplicationId, ConfigurationName, Limit, Omissible, Ulid

from . import repository
from .models import ListConfigurationsResponse

router = APIRouter(tags=["configurations"], route_class=ExactRoute)


@router.get("/api/v1/configurations", response_model=list[ListConfigurationsResponse])
async def list_configurations(
    request: Request,
    limit: Limit = 100,
    after: Annotated[Omissible[Ulid], Query(description="The page begins behind this id.")] = None,
    application_id: Omissible[ApplicationId] = None,
    name: Omissible[ConfigurationName] = None,
) -> Response:
    """A page of configurations without their documents, ascending by id, behind the id `after`.
    `Link` leads to the next."""
    page = await repository.list_after(after, application_id, name, limit)
    headers = {}
    if page["next"]:
        headers["Link"] = next_link(
            request,
            "/api/v1/configurations",
            application_id=application_id,
            name=name,
            limit=limit,
            after=page["next"],
        )
    return Response(page["body"], 200, headers, "application/json")
