"""Shows the OpenAPI document to people: Swagger UI, or a plain reference where that cannot load."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

_REFERENCE = Path(__file__).with_name("docs_reference.js").read_text(encoding="utf-8")


def install(app: FastAPI) -> None:
    """Adds `GET /docs` to `app`, in the place of FastAPI's own.

    It is FastAPI's page, with a script in front of all that comes from its content network: on a
    closed network nothing behind that would ever run.
    """

    app.add_route("/docs", _get_docs, include_in_schema=False)


async def _get_docs(request: Request) -> HTMLResponse:
    prefix = request.scope.get("root_path", "").rstrip("/")
    title = request.app.title
    page = get_swagger_ui_html(openapi_url=f"{prefix}/openapi.json", title=title)
    head = f"<head>\n<script>\n{_REFERENCE}</script>"
    return HTMLResponse(bytes(page.body).decode().replace("<head>", head, 1))
