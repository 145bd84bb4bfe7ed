"""Answers Prometheus."""

from fastapi import FastAPI, Response

import metrics


def install(app: FastAPI) -> None:
    """Adds `GET /metrics` to `app`."""

    @app.get("/metrics", include_in_schema=False)
    async def get_metrics() -> Response:
        return Response(metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})
