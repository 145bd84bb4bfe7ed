from typing import Literal

from pydantic import BaseModel


class GetHealthResponse(BaseModel):
    status: Literal["ok"] = "ok"
