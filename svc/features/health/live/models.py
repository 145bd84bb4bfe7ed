from typing import Literal

from pydantic import BaseModel


class GetHealthResponse(BaseModel):
    """The process serves."""

    status: Literal["ok"] = "ok"
