from fastapi import APIRouter, HTTPException, Response

from fields import ExactRoute, Ulid, invalid

from . import repository
from .models import ReplaceConfigurationRequest, ReplaceConfigurationResponse

router = APIRouter(tags=["configurations"], route_class=ExactRoute)


@router.put(
    "/api/v1/configurations/{id}",
    response_model=ReplaceConfigurationResponse,
    responses={
        404: {"description": "There is no such configuration"},
        409: {"description": "The name is taken in its application"},
    },
)
async def replace_configuration(id: Ulid, body: ReplaceConfigurationRequest) -> Response:
    """Replace a configuration. `comments` left out become null; `config` may not be left out."""
    if body.id not in (None, id):
        raise invalid("body", "id", detail="This is not the id of the path")
    try:
        replaced = await repository.replace(
            id, body.application_id, body.name, body.comments, body.config
        )
    except repository.NotFound:
        raise HTTPException(404, "There is no such configuration.") from None
    except repository.OtherApplication:
        detail = "A configuration stays with its application"
        raise invalid("body", "application_id", detail=detail) from None
    except repository.TooLarge:
        raise HTTPException(413, "The document is too large as it would be given back.") from None
    except repository.NameTaken:
        raise HTTPException(409, f"The name {body.name!r} is taken.") from None
    return Response(replaced, media_type="application/json")
