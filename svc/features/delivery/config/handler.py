from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

import database
from wire.preconditions import EntityTags, matches
from wire.prefer import Prefer, wait_seconds
from wire.route import ExactRoute, invalid
from wire.types import ConfigObject, Name

from . import repository
from .models import ExplainedConfigResponse

router = APIRouter(tags=["delivery"], route_class=ExactRoute)


@router.get(
    "/api/v1/config",
    response_model=ConfigObject | ExplainedConfigResponse,
    responses={
        304: {"description": "It is what If-None-Match says"},
        404: {"description": "There is no such application, or it has no such configuration"},
    },
)
async def get_config(
    request: Request,
    application: Name,
    name: Annotated[list[Name], Query(min_length=1)],
    optional: Annotated[list[Name], Query()] = [],  # noqa: B006 - FastAPI's way to say it
    explain: bool = False,
    if_none_match: EntityTags = None,
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
    try:
        if wait and if_none_match and if_none_match != ["*"]:
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
        detail = f"The application has no configuration “{missing.name}”."
        raise HTTPException(404, detail) from None
    tag = f'"{found["opaque"]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if matches(if_none_match, tag):
        return Response(None, 304, headers)
    return Response(found["body"], 200, headers, "application/json")
