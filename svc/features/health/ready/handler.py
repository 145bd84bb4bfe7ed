import asyncio

from fastapi import APIRouter, HTTPException

from wire.route import ExactRoute

from . import repository
from .models import GetReadinessResponse

TIMEOUT_SECONDS = 2

router = APIRouter(tags=["health"], route_class=ExactRoute)


@router.get("/health/ready", responses={503: {"description": "The service is not ready"}})
async def get_readiness() -> GetReadinessResponse:
    """Whether the database answers within two seconds and no migration is pending."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            migrated = await repository.migrated()
    except TimeoutError:
        raise HTTPException(503, "The database is slow to answer.", {"Retry-After": "1"}) from None
    if not migrated:
        raise HTTPException(503, "A migration is pending.", {"Retry-After": "1"})
    return GetReadinessResponse()
