"""Answers Prometheus."""

from fastapi import FastAPI, Request, Response

from edge import metrics


def install(app: FastAPI) -> None:
    """Adds `GET /metrics` to `app`."""
    app.add_route("/metrics", _get_metrics, include_in_schema=False)


async def _get_metrics(_: Request) -> Response:
    return Response(metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})
