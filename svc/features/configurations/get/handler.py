from functools import partial

from fastapi import APIRouter, HTTPException, Request, Response

import database
from wire.links import at_sequence
from wire.moments import At, is_time
from wire.preconditions import IfNoneMatch, entity_tag, matches
from wire.prefer import Prefer, wait_seconds
from wire.route import ExactRoute, invalid
from wire.types import ConfigurationId

from . import repository
from .models import GetConfigurationResponse

router = APIRouter(tags=["configurations"], route_class=ExactRoute)


@router.get(
    "/api/v1/configurations/{id}",
    response_model=GetConfigurationResponse,
    responses={
        304: {"description": "It is what If-None-Match says"},
        404: {"description": "There is, or was then, no such configuration"},
        410: {"description": "History does not have it any more"},
    },
)
async def get_configuration(
    request: Request,
    id: ConfigurationId,
    at: At = None,
    if_none_match: IfNoneMatch = None,
    prefer: Prefer = None,
) -> Response:
    """A configuration, with its document as it was sent.

    With `If-None-Match` and `Prefer: wait=30` it waits until there is another revision.
    """
    look = partial(repository.get, id)
    wait = wait_seconds(request, prefer)
    if at and wait is not None:
        raise invalid("query", "at", detail="What was does not change: nothing can be waited for")
    try:
        if at:
            found = await repository.get_at(id, at)
        elif wait and if_none_match and if_none_match != ["*"]:
            found = await database.wait(
                look,
                lambda found: not matches(if_none_match, entity_tag(found["revision"])),
                wait,
                lambda _: id,
            )
        else:
            found = await look()
    except repository.NotFound:
        then = " at that time" if at else ""
        raise HTTPException(404, f"There is no such configuration{then}.") from None
    except repository.InFuture:
        raise invalid("query", "at", detail="This is in the future") from None
    except repository.Trimmed:
        raise HTTPException(410, "History does not have this revision any more.") from None
    tag = entity_tag(found["revision"])
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if at and is_time(at):
        where = f"/api/v1/configurations/{id}"
        headers["Content-Location"] = at_sequence(request, where, found["sequence"])
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if matches(if_none_match, tag):
        return Response(None, 304, headers)
    return Response(found["body"], 200, headers, "application/json")
