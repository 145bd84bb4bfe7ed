"""The app factory: the settings, the database, the edge, and every slice in `features`.

A new slice is a new folder: nothing here names one.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

import database
import migrations
from config import Settings, settings
from edge import (
    access,
    bodies,
    docs,
    endings,
    logs,
    metrics,
    openapi,
    paths,
    problems,
    requests,
    upgrades,
)
from wire import changes

VERSION = "1.0.0"
HERE = Path(__file__).parent


def routers() -> list[APIRouter]:
    """The router of each `features/*/*/handler.py`, in the order of their paths.

    `{` sorts behind every letter, so that a literal segment comes before a parameter.
    """
    handlers = sorted(HERE.glob("features/*/*/handler.py"))
    modules = (".".join(path.relative_to(HERE).with_suffix("").parts) for path in handlers)
    found = [import_module(module).router for module in modules]
    return sorted(found, key=lambda router: [route.path for route in router.routes])


def areas() -> list[dict[str, str | None]]:
    """The tags of OpenAPI: the folders of `features`, with what each says of itself."""
    names = sorted(path.parent.name for path in HERE.glob("features/*/__init__.py"))
    return [
        {"name": name, "description": import_module(f"features.{name}").__doc__} for name in names
    ]


def create_app(settings: Settings) -> FastAPI:
    """The service, ready to be served; it opens its database when it starts."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Full collections of garbage stop the event loop for most of a second where 10,000 requests
        # wait. A request leaves no garbage that needs one; a test holds that.
        gc.freeze()
        gc.set_threshold(2_000, 10, 1_000)
        with metrics.opened(VERSION):
            async with database.opened(settings, access.caller.get, changes.asked.get, metrics):
                report = asyncio.create_task(_report(settings))
                yield
                report.cancel()
        log.end()

    log = logs.install(settings.log_level, settings.log_format)
    upgrades.ignore()
    app = FastAPI(
        title="Config Service",
        version=VERSION,
        summary="Configuration documents of many applications, safely edited and handed out.",
        openapi_tags=areas(),
        lifespan=lifespan,
        middleware=[  # the outermost first
            Middleware(paths.resolve),
            Middleware(requests.accompany, settings.log_level, settings.log_format),
            Middleware(problems.catch),
            Middleware(endings.Endings, settings.shutdown_seconds, database.stop_waiting),
            Middleware(access.check, settings.api_tokens, _open_paths(settings)),
            Middleware(bodies.check, settings.max_body_bytes, settings.max_content_bytes),
        ],
        exception_handlers=problems.HANDLERS,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    for router in routers():
        app.include_router(router)
    app.add_route("/docs", docs.get_docs, include_in_schema=False)
    app.add_route("/metrics", metrics.get_metrics, include_in_schema=False)
    openapi.install(app, secured=bool(settings.api_tokens))
    return app


def _open_paths(settings: Settings) -> set[str]:
    """The paths that need no token."""
    docs = {"/docs", "/openapi.json"} if settings.docs_public else set()
    metrics = {"/metrics"} if settings.metrics_public else set()
    return {"/health", "/health/ready"} | docs | metrics


async def _report(settings: Settings) -> None:
    """Logs at the start whether the service is open or not ready; it starts all the same."""
    log = logging.getLogger("config_service")
    if not settings.api_tokens:
        log.warning("open to everybody: API_TOKENS is not set")
    if obstacle := await asyncio.to_thread(migrations.obstacle, settings.direct_url):
        log.warning("not ready: %s", obstacle)


app = create_app(settings())
