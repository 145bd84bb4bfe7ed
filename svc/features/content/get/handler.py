from functools import partial

from fastapi import APIRouter, HTTPException, Request, Response

import database
from wire.links import at_sequence
from wire.moments import At, is_time
from wire.preconditions import IfNoneMatch, entity_tag, matches
from wire.prefer import Prefer, wait_seconds
from wire.route import ExactRoute, invalid
from wire.types import ApplicationId

from . import repository
from .models import GetContentResponse

router = APIRouter(tags=["content"], route_class=ExactRoute)


@router.get(
    "/api/v1/applications/{id}/content",
    response_model=GetContentResponse,
    responses={
        304: {"description": "It is what If-None-Match says"},
        404: {"description": "There is no such application"},
        410: {"description": "History does not have all of it any more"},
        409: {"description": "It is too large to be read as one"},
    },
)
async def get_content(
    request: Request,
    id: ApplicationId,
    at: At = None,
    if_none_match: IfNoneMatch = None,
    prefer: Prefer = None,
) -> Response:
    """All configurations of an application, with their documents as they were sent.

    With `If-None-Match` and `Prefer: wait=30` it waits until one of them changes.
    """
    most_bytes: int = request.app.state.settings.max_content_bytes
    look = partial(repository.get, id, most_bytes)
    wait = wait_seconds(request, prefer)
    if at and wait is not None:
        raise invalid("query", "at", detail="What was does not change: nothing can be waited for")
    try:
        if at:
            found = await repository.get_at(id, at, most_bytes)
        elif wait and if_none_match and if_none_match != ["*"]:
            found = await database.wait(
                look,
                lambda found: not matches(if_none_match, entity_tag(found["sequence"])),
                wait,
                lambda _: id,
            )
        else:
            found = await look()
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    except repository.InFuture:
        raise invalid("query", "at", detail="This is in the future") from None
    except repository.Trimmed:
        raise HTTPException(410, "History does not have all of this any more.") from None
    tag = entity_tag(found["sequence"])
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if at and is_time(at):
        where = f"/api/v1/applications/{id}/content"
        headers["Content-Location"] = at_sequence(request, where, found["sequence"])
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if matches(if_none_match, tag):
        return Response(None, 304, headers)
    if not found["body"]:
        raise HTTPException(409, "This is too large for one answer: read them one by one.")
    return Response(found["body"], 200, headers, "application/json")
