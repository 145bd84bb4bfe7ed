"""Answers Prometheus."""

from fastapi import Request, Response

from edge import metrics


async def get_metrics(_: Request) -> Response:
    """All metrics, in Prometheus' text format."""
    return Response(metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})
