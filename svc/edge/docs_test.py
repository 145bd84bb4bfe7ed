import base64
import hashlib
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.testclient import TestClient

from edge import docs

SCRIPT = Path(docs.__file__).with_name("docs_reference.js").read_text(encoding="utf-8")


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(title="Things", docs_url=None)
    app.add_route("/docs", docs.get_docs)
    return app


@pytest.fixture
def page(app: FastAPI) -> str:
    answer = TestClient(app).get("/docs")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    return answer.text


def test_the_page_is_swagger_ui_and_the_script_of_the_reference(page: str) -> None:
    swagger = bytes(get_swagger_ui_html(openapi_url="/openapi.json", title="Things").body).decode()
    assert page.replace(f"\n<script>\n{SCRIPT}</script>", "") == swagger


def test_the_script_comes_before_all_that_comes_from_elsewhere(page: str) -> None:
    assert page.index(SCRIPT) < page.index("<link") < page.index("<script src")
    assert page.partition("<script>")[0].split() == ["<!DOCTYPE", "html>", "<html>", "<head>"]


def test_the_script_names_no_other_host() -> None:
    assert not re.search(r"//[\w-]+\.|https?:|@import|\burl\(|\bimport\b", SCRIPT)


def test_the_script_asks_for_the_document_only() -> None:
    assert re.findall(
        r"\b(?:fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon)\b.*", SCRIPT
    ) == ["fetch(`${HOME}/openapi.json`);"]


def test_the_script_ends_where_its_element_does() -> None:
    for mark in ("</script", "<script", "<!--"):
        assert mark not in SCRIPT.lower()


def test_the_script_never_reads_a_value_as_markup() -> None:
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in SCRIPT


def test_the_script_is_small() -> None:
    assert len(SCRIPT.encode()) < 20_000


def test_the_document_is_looked_for_behind_the_prefix_of_a_proxy(app: FastAPI) -> None:
    for prefix, url in (("", "/openapi.json"), ("/config", "/config/openapi.json")):
        page = TestClient(app, root_path=prefix).get("/docs").text
        assert f"url: '{url}'" in page


def directives(app: FastAPI) -> dict[str, set[str]]:
    """The sources that each directive of the page's policy names."""
    [policy] = TestClient(app).get("/docs").headers.get_list("Content-Security-Policy")
    parts = (directive.split() for directive in policy.split(";"))
    return {name: set(sources) for name, *sources in parts}


def test_only_the_scripts_of_the_page_itself_run_in_it(app: FastAPI, page: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    }
    [file] = re.findall(r'<script src="(.*?)"', page)
    assert file.startswith(docs.SWAGGER)
    assert directives(app)["script-src"] == hashes | {docs.SWAGGER}


def test_the_policy_of_the_page_names_each_file_that_it_loads_and_nothing_wider(
    app: FastAPI, page: str
) -> None:
    named = directives(app)
    style, icon = re.findall(r'<link [^>]*href="(.*?)"', page)
    assert style.startswith(docs.SWAGGER)
    assert named.pop("style-src") == {"'unsafe-inline'", docs.SWAGGER}
    assert named.pop("img-src") == {"'self'", "data:", icon}
    assert named.pop("connect-src") == {"'self'"}
    named.pop("script-src")
    assert set(named) == {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert all(sources == {"'none'"} for sources in named.values())
