from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

import database
from wire.links import at_sequence
from wire.moments import At, is_time
from wire.preconditions import IfNoneMatch, matches
from wire.prefer import Prefer, wait_seconds
from wire.route import ExactRoute, invalid
from wire.types import ApplicationName, ConfigurationName

from . import repository
from .models import GetConfigResponse

router = APIRouter(tags=["delivery"], route_class=ExactRoute)


@router.get(
    "/api/v1/config",
    response_model=GetConfigResponse,
    responses={
        304: {"description": "It is what If-None-Match says"},
        404: {"description": "There is, or was then, no such application or configuration"},
        410: {"description": "History does not have all of it any more"},
    },
)
async def get_config(
    request: Request,
    application: ApplicationName,
    name: Annotated[
        list[ConfigurationName],
        Query(
            min_length=1,
            description="The layers, from left to right.",
            examples=[["defaults", "production"]],
        ),
    ],
    optional: Annotated[
        list[ConfigurationName],
        Query(description="Those of the layers that may be missing.", examples=[["production"]]),
    ] = [],  # noqa: B006 - FastAPI's way to say it
    explain: Annotated[
        bool, Query(description="Also tells which layers made each value.", examples=[True])
    ] = False,
    at: At = None,
    if_none_match: IfNoneMatch = None,
    prefer: Prefer = None,
) -> Response:
    """The document that a program runs on, by names. Several are merged from left to right.

    With `explain`, also where each value comes from. With `If-None-Match` and `Prefer: wait=30` it
    waits until the answer is another.
    """
    if not set(optional) <= set(name):
        raise invalid("query", "optional", detail="Each optional one is also a name")
    look = partial(repository.merge, application, name, optional, explain=explain)
    wait = wait_seconds(request, prefer)
    if at and wait is not None:
        raise invalid("query", "at", detail="What was does not change: nothing can be waited for")
    try:
        if at:
            found = await repository.merge_at(application, name, optional, at, explain=explain)
        elif wait and if_none_match and if_none_match != ["*"]:
            found = await database.wait(
                look,
                lambda found: not matches(if_none_match, f'"{found["opaque"]}"'),
                wait,
                lambda found: found["application_id"],
            )
        else:
            found = await look()
    except repository.NoSuchApplication:
        raise HTTPException(404, f"There is no application “{application}”.") from None
    except repository.NoSuchLayer as missing:
        then = " at that time" if at else ""
        detail = f"The application has no configuration “{missing.name}”{then}."
        raise HTTPException(404, detail) from None
    except repository.InFuture:
        raise invalid("query", "at", detail="This is in the future") from None
    except repository.Trimmed:
        raise HTTPException(410, "History does not have all of this any more.") from None
    tag = f'"{found["opaque"]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if at and is_time(at):
        where = "/api/v1/config"
        headers["Content-Location"] = at_sequence(request, where, found["sequence"])
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if matches(if_none_match, tag):
        return Response(None, 304, headers)
    return Response(found["body"], 200, headers, "application/json")
