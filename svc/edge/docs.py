"""Shows the OpenAPI document to people: Swagger UI, or a plain reference where that cannot load."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from fastapi import Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

# Where FastAPI's page has Swagger UI and its icon from.
SWAGGER = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/"
ICON = "https://fastapi.tiangolo.com/img/favicon.png"

_REFERENCE = Path(__file__).with_name("docs_reference.js").read_text(encoding="utf-8")


async def get_docs(request: Request) -> HTMLResponse:
    """The page that FastAPI has at /docs, with a script of our own in front.

    The script comes before all that is loaded from a content network: on a closed network nothing
    behind that would ever run. The page's policy allows its own scripts, by their hashes, Swagger
    UI and this service; and any style, because Swagger UI and our script make some.
    """
    url = request.scope.get("root_path", "").rstrip("/") + "/openapi.json"
    swagger = get_swagger_ui_html(openapi_url=url, title=request.app.title)
    head = f"<head>\n<script>\n{_REFERENCE}</script>"
    page = bytes(swagger.body).decode().replace("<head>", head, 1)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    policy = (
        f"default-src 'none'; script-src {allowed} {SWAGGER}; style-src 'unsafe-inline' {SWAGGER};"
        f" img-src 'self' data: {ICON}; connect-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})
