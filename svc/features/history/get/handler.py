from fastapi import APIRouter, HTTPException, Response

from wire.route import ExactRoute
from wire.types import ConfigurationId, Revision

from . import repository
from .models import GetRevisionResponse

FOR_EVER = "private, max-age=31536000, immutable"
KEPT = {
    "description": "It never changes.",
    "required": True,
    "schema": {"type": "string", "examples": [FOR_EVER]},
}

router = APIRouter(tags=["history"], route_class=ExactRoute)


@router.get(
    "/api/v1/configurations/{id}/revisions/{revision}",
    response_model=GetRevisionResponse,
    responses={
        200: {"headers": {"Cache-Control": KEPT}},
        404: {"description": "There is no such revision"},
    },
)
async def get_revision(id: ConfigurationId, revision: Revision) -> Response:
    """A configuration as it was at a revision. It never changes: keep it as long as you like."""
    try:
        body = await repository.get(id, revision)
    except repository.NotFound:
        raise HTTPException(404, "There is no such revision.") from None
    return Response(body, 200, {"Cache-Control": FOR_EVER}, "application/json")
