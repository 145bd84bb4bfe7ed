from fastapi import APIRouter, HTTPException, Response

from fields import EntityTags, ExactRoute, Ulid, expected_revisions, precondition_refusal

from . import repository

router = APIRouter(tags=["configurations"], route_class=ExactRoute)


@router.delete(
    "/api/v1/configurations/{id}",
    status_code=204,
    responses={
        404: {"description": "There is no such configuration"},
        412: {"description": "If-Match names another revision"},
        428: {"description": "If-Match is required"},
    },
)
async def delete_configuration(id: Ulid, if_match: EntityTags = None) -> Response:
    """Delete a configuration."""
    try:
        await repository.delete(id, expected_revisions(if_match))
    except repository.NotFound:
        raise HTTPException(404, "There is no such configuration.") from None
    except repository.PreconditionFailed as failed:
        raise precondition_refusal(if_match, failed.args[0]) from None
    return Response(status_code=204)
