from fastapi import APIRouter

from wire.route import ExactRoute

from .models import GetHealthResponse

router = APIRouter(tags=["health"], route_class=ExactRoute)


@router.get("/health")
async def get_health() -> GetHealthResponse:
    """Whether the process serves. Never touches the database."""
    return GetHealthResponse()
