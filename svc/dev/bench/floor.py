"""The floor of `make bench`: as little as an endpoint of the same framework can do."""

from fastapi import FastAPI, Response

app = FastAPI()


@app.get("/{id}")
async def empty(id: str) -> Response:
    """The least that is JSON."""
    return Response(b"{}", media_type="application/json")
