import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient

from edge.browsers import Browsers

STRICT = "default-src 'none'; frame-ancestors 'none'; sandbox"
PAGE = "default-src 'none'; script-src 'self'"
REUSED = Response("the same object for every request")

app = FastAPI()
app.add_middleware(Browsers)


@app.get("/document")
async def get_document() -> dict[str, str]:
    return {}


@app.get("/page")
async def get_page() -> Response:
    return Response("<p>", headers={"content-security-policy": PAGE}, media_type="text/html")


@app.get("/reused")
async def get_reused() -> Response:
    return REUSED


@pytest.fixture
def client() -> TestClient:
    return TestClient(app)


@pytest.mark.parametrize(("path", "status"), [("/document", 200), ("/nowhere", 404)])
def test_a_browser_must_not_guess_the_type_of_an_answer_nor_run_anything_in_it(
    client: TestClient, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers.get_list("Content-Security-Policy") == [STRICT]


def test_a_page_has_the_policy_that_it_brings(client: TestClient) -> None:
    answer = client.get("/page")
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers.get_list("Content-Security-Policy") == [PAGE]


def test_a_response_that_is_used_again_does_not_collect_headers(client: TestClient) -> None:
    assert client.get("/reused").headers == client.get("/reused").headers
    assert [name for name, _ in REUSED.raw_headers] == [b"content-length"]
