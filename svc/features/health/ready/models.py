from typing import Literal

from pydantic import BaseModel


class GetReadinessResponse(BaseModel):
    status: Literal["ready"] = "ready"
