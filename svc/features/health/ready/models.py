from typing import Literal

from pydantic import BaseModel


class GetReadinessResponse(BaseModel):
    """The service can do its work."""

    status: Literal["ready"] = "ready"
