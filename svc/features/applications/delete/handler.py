from fastapi import APIRouter, HTTPException, Response

from fields import EntityTags, ExactRoute, Ulid, expected_revisions, precondition_refusal

from . import repository

router = APIRouter(tags=["applications"], route_class=ExactRoute)


@router.delete(
    "/api/v1/applications/{id}",
    status_code=204,
    responses={
        404: {"description": "There is no such application"},
        412: {"description": "If-Match names another revision"},
        428: {"description": "If-Match is required"},
    },
)
async def delete_application(id: Ulid, if_match: EntityTags = None) -> Response:
    """Delete an application and all its configurations."""
    try:
        await repository.delete(id, expected_revisions(if_match))
    except repository.NotFound:
        raise HTTPException(404, "There is no such application.") from None
    except repository.PreconditionFailed as failed:
        raise precondition_refusal(if_match, failed.args[0]) from None
    return Response(status_code=204)
