from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Header
from pydantic import BaseModel, Field

from edge import openapi


class MakeThingRequest(BaseModel):
    name: str


app = FastAPI()


@app.get(
    "/api/v1/things/{id}",
    responses={
        200: {"headers": {"ETag": {"description": "Its own"}}},
        404: {"description": "There is no such thing"},
    },
)
async def get_thing(
    id: Annotated[str, Field(description="The id of a thing.")],
    at: str = "",
    if_none_match: Annotated[str, Header(description="What is there.")] = "",
) -> str:
    return id


@app.get("/api/v1/things")
async def list_things(limit: int = 1) -> list[str]:
    return []


@app.post("/api/v1/things", status_code=201, responses={400: {"description": "Bad indeed"}})
async def make_thing(body: MakeThingRequest) -> str:
    return body.name


@app.put("/api/v1/things/{id}")
async def replace_thing(
    id: str, if_match: Annotated[str, Header(description="What is there.")] = ""
) -> str:
    return id


@app.delete("/api/v1/things/{id}", status_code=204)
async def delete_thing(id: str, dry_run: bool = False) -> None: ...


@app.post(
    "/api/v1/parts",
    tags=["parts"],
    responses={409: {"description": "Taken"}, 404: {"description": "None"}},
)
async def make_part(note: str = "") -> None: ...


@app.delete("/api/v1/parts/{id}", tags=["parts"])
async def delete_part(id: str, note: str = "") -> None: ...


@app.delete("/api/v1/applications/{id}", tags=["applications"])
async def delete_application(id: str, note: str = "") -> None: ...


@app.get("/health")
async def get_health() -> str:
    return "ok"


openapi.install(app, secured=False)


def document(*, secured: bool) -> dict[str, Any]:
    other = FastAPI()
    other.include_router(app.router)
    openapi.install(other, secured=secured)
    return other.openapi()


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = app.openapi()["paths"][path][method]
    return found


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", "/api/v1/things/{id}", {"200", "400", "401", "403", "404", "503"}),
        ("post", "/api/v1/things", {"201", "400", "401", "403", "413", "415", "503"}),
        ("get", "/health", {"200", "400"}),
    ],
)
def test_an_operation_has_the_errors_that_it_can_answer(
    method: str, path: str, statuses: set[str]
) -> None:
    assert set(operation(method, path)["responses"]) == statuses


def test_every_error_is_a_problem_and_nothing_else_is() -> None:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    problem = {"application/problem+json": schema}
    for methods in app.openapi()["paths"].values():
        for one in methods.values():
            for status, response in one["responses"].items():
                assert (response.get("content") == problem) is (status >= "400")


def test_what_a_slice_says_of_its_errors_stands() -> None:
    described = operation("get", "/api/v1/things/{id}")["responses"]
    assert described["404"]["description"] == "There is no such thing"
    described = operation("post", "/api/v1/things")["responses"]
    assert described["400"]["description"] == "Bad indeed"


def test_a_change_of_configurations_may_be_refused_by_a_check() -> None:
    made = operation("post", "/api/v1/parts")["responses"]
    deleted = operation("delete", "/api/v1/parts/{id}")["responses"]
    checked = deleted["409"]["description"]
    assert "check" in checked
    assert made["409"]["description"] == f"Taken. {checked}"
    assert "409" not in operation("delete", "/api/v1/applications/{id}")["responses"]
    assert "409" not in operation("delete", "/api/v1/things/{id}")["responses"]


def test_the_framework_s_own_errors_are_gone() -> None:
    document = str(app.openapi())
    assert "422" not in document
    assert "ValidationError" not in document


def test_the_schemas_are_the_models_and_the_problem() -> None:
    schemas = app.openapi()["components"]["schemas"]
    assert set(schemas) == {"MakeThingRequest", "Problem"}
    assert set(schemas["Problem"]["required"]) == {"type", "title", "status", "detail"}


def headers(method: str, path: str, status: str) -> dict[str, Any]:
    found: dict[str, Any] = operation(method, path)["responses"][status].get("headers", {})
    return found


@pytest.mark.parametrize(
    ("method", "path", "status", "names"),
    [
        ("get", "/api/v1/things/{id}", "200", {"ETag", "Cache-Control", "Content-Location"}),
        ("get", "/api/v1/things/{id}", "404", set()),
        ("get", "/api/v1/things/{id}", "401", {"WWW-Authenticate"}),
        ("get", "/api/v1/things/{id}", "503", {"Retry-After"}),
        ("get", "/api/v1/things", "200", {"Link"}),
        ("post", "/api/v1/things", "201", {"ETag", "Location"}),
        ("post", "/api/v1/things", "415", set()),
        ("put", "/api/v1/things/{id}", "200", {"ETag"}),
        ("delete", "/api/v1/things/{id}", "204", {"ETag"}),
        ("get", "/health", "200", set()),
    ],
)
def test_an_answer_has_the_headers_that_its_status_and_its_operation_call_for(
    method: str, path: str, status: str, names: set[str]
) -> None:
    assert set(headers(method, path, status)) == names | {"X-Request-ID"}


def test_each_header_is_described_and_has_an_example() -> None:
    described = app.openapi()["components"]["headers"]
    assert headers("get", "/health", "200")["X-Request-ID"] == {
        "$ref": "#/components/headers/RequestId"
    }
    for header in described.values():
        assert header["description"]
        assert header["schema"]["examples"]
    assert described["ETag"]["required"]
    assert not described["Next"]["required"]
    assert not described["Then"]["required"]


@pytest.mark.parametrize(
    ("method", "path", "status", "is_sure"),
    [
        ("put", "/api/v1/things/{id}", "200", True),
        # A dry run may start from nothing, and only a dry run of a deletion has one.
        ("post", "/api/v1/things", "201", False),
        ("delete", "/api/v1/things/{id}", "204", False),
    ],
)
def test_an_entity_tag_is_promised_only_where_each_answer_has_one(
    method: str, path: str, status: str, *, is_sure: bool
) -> None:
    name = headers(method, path, status)["ETag"]["$ref"].rpartition("/")[2]
    assert app.openapi()["components"]["headers"][name]["required"] is is_sure


def test_what_a_slice_says_of_its_headers_stands() -> None:
    etag = headers("get", "/api/v1/things/{id}", "200")["ETag"]
    assert etag == {"description": "Its own"}


def test_a_description_stands_at_the_parameter() -> None:
    by_id, _, if_none_match = operation("get", "/api/v1/things/{id}")["parameters"]
    assert by_id["description"] == "The id of a thing."
    assert if_none_match["description"] == "What is there."
    assert "description" not in by_id["schema"]


@pytest.mark.parametrize(
    ("secured", "security"), [(True, [{"token": []}]), (False, [{}, {"token": []}])]
)
def test_the_api_takes_a_token_and_needs_it_where_there_are_any(
    secured: bool, security: list[dict[str, list[str]]]
) -> None:
    made = document(secured=secured)
    assert made["paths"]["/api/v1/things"]["get"]["security"] == security
    assert made["paths"]["/health"]["get"]["security"] == []
    assert made["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_a_prefix_that_fastapi_knows_stays_the_server() -> None:
    assert app.openapi()["servers"][0]["url"] == "/"
    behind = FastAPI(servers=[{"url": "/prefix"}])
    openapi.install(behind, secured=False)
    assert [one["url"] for one in behind.openapi()["servers"]] == ["/prefix"]


def test_the_document_is_made_once() -> None:
    assert app.openapi() is app.openapi()


def test_an_app_without_models_has_the_problem_too() -> None:
    bare = FastAPI()
    bare.add_api_route("/health", get_health)
    openapi.install(bare, secured=False)
    assert set(bare.openapi()["components"]["schemas"]) == {"Problem"}
