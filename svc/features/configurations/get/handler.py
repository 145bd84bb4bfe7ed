from functools import partial

from fastapi import APIRouter, HTTPException, Request, Response

import database
from wire.preconditions import IfNoneMatch, entity_tag, matches
from wire.prefer import Prefer, wait_seconds
from wire.route import ExactRoute
from wire.types import ConfigurationId

from . import repository
from .models import GetConfigurationResponse

router = APIRouter(tags=["configurations"], route_class=ExactRoute)


@router.get(
    "/api/v1/configurations/{id}",
    response_model=GetConfigurationResponse,
    responses={
        304: {"description": "It is what If-None-Match says"},
        404: {"description": "There is no such configuration"},
    },
)
async def get_configuration(
    request: Request, id: ConfigurationId, if_none_match: IfNoneMatch = None, prefer: Prefer = None
) -> Response:
    """A configuration, with its document as it was sent.

    With `If-None-Match` and `Prefer: wait=30` it waits until there is another revision.
    """
    look = partial(repository.get, id)
    wait = wait_seconds(request, prefer)
    try:
        if wait and if_none_match and if_none_match != ["*"]:
            found = await database.wait(
                look,
                lambda found: not matches(if_none_match, entity_tag(found["revision"])),
                wait,
                lambda _: id,
            )
        else:
            found = await look()
    except repository.NotFound:
        raise HTTPException(404, "There is no such configuration.") from None
    tag = entity_tag(found["revision"])
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if matches(if_none_match, tag):
        return Response(None, 304, headers)
    return Response(found["body"], 200, headers, "application/json")
