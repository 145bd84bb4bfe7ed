from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from edge import openapi


class MakeThingRequest(BaseModel):
    name: str


app = FastAPI()


@app.get("/api/v1/things/{id}", responses={404: {"description": "There is no such thing"}})
async def get_thing(id: str) -> str:
    return id


@app.post("/api/v1/things", status_code=201, responses={400: {"description": "Bad indeed"}})
async def make_thing(body: MakeThingRequest) -> str:
    return body.name


@app.get("/health")
async def get_health() -> str:
    return "ok"


openapi.install(app, secured=False)


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = app.openapi()["paths"][path][method]
    return found


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", "/api/v1/things/{id}", {"200", "400", "404", "503"}),
        ("post", "/api/v1/things", {"201", "400", "413", "415", "503"}),
        ("get", "/health", {"200", "400"}),
    ],
)
def test_an_operation_has_the_errors_that_it_can_answer(
    method: str, path: str, statuses: set[str]
) -> None:
    assert set(operation(method, path)["responses"]) == statuses


def test_every_error_is_a_problem_and_nothing_else_is() -> None:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for methods in app.openapi()["paths"].values():
        for one in methods.values():
            for status, response in one["responses"].items():
                content = {"application/problem+json": problem} if status >= "400" else None
                assert (response["content"] == content) is (status >= "400")


def test_what_a_slice_says_of_its_errors_stands() -> None:
    described = operation("get", "/api/v1/things/{id}")["responses"]
    assert described["404"]["description"] == "There is no such thing"
    described = operation("post", "/api/v1/things")["responses"]
    assert described["400"]["description"] == "Bad indeed"


def test_the_framework_s_own_errors_are_gone() -> None:
    document = str(app.openapi())
    assert "422" not in document
    assert "ValidationError" not in document


def test_the_schemas_are_the_models_and_the_problem() -> None:
    schemas = app.openapi()["components"]["schemas"]
    assert set(schemas) == {"MakeThingRequest", "Problem"}
    assert set(schemas["Problem"]["required"]) == {"type", "title", "status", "detail"}


def test_the_document_is_made_once() -> None:
    assert app.openapi() is app.openapi()


def test_an_app_without_models_has_the_problem_too() -> None:
    bare = FastAPI()
    bare.add_api_route("/health", get_health)
    openapi.install(bare, secured=False)
    assert set(bare.openapi()["components"]["schemas"]) == {"Problem"}
