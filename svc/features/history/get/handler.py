from fastapi import APIRouter, HTTPException, Response

from wire.route import ExactRoute
from wire.types import Revision, Ulid

from . import repository
from .models import GetRevisionResponse

router = APIRouter(tags=["history"], route_class=ExactRoute)


@router.get(
    "/api/v1/configurations/{id}/revisions/{revision}",
    response_model=GetRevisionResponse,
    responses={404: {"description": "There is no such revision"}},
)
async def get_revision(id: Ulid, revision: Revision) -> Response:
    """A configuration as it was at a revision. It never changes: keep it as long as you like."""
    try:
        body = await repository.get(id, revision)
    except repository.NotFound:
        raise HTTPException(404, "There is no such revision.") from None
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(body, 200, headers, "application/json")
