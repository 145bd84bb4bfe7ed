"""Completes the OpenAPI document: every error is described as problem details."""

from typing import Any

from fastapi import FastAPI

_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "examples": ["about:blank"]},
        "title": {"type": "string", "examples": ["Bad Request"]},
        "status": {"type": "integer", "examples": [400]},
        "detail": {"type": "string", "examples": ["The request is not valid: see errors."]},
        "errors": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "A JSON Pointer (RFC 6901) into the body.",
                        "examples": ["/config"],
                    },
                    "parameter": {
                        "type": "string",
                        "description": "A query parameter or `id` of the path.",
                    },
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_WITH_SECURITY = {
    "401": "There is no valid token",
    "403": "The token has not the scope",
}
_WITH_BODY = {
    "413": "The body is larger than the service takes",
    "415": "The body is not JSON in UTF-8",
}


def install(app: FastAPI, *, secured: bool) -> None:
    """Makes `/openapi.json` of `app` describe the errors that `edge` answers, and the bearer tokens
    where it is `secured` by them."""
    generate = app.openapi

    def finished() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    if secured and path.startswith("/api/"):
                        operation["security"] = [{"token": []}]
                    _describe_errors(operation, of_api=path.startswith("/api/"))
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            schemas["Problem"] = _PROBLEM
            if secured:
                token = {"type": "http", "scheme": "bearer"}
                document["components"]["securitySchemes"] = {"token": token}
        return app.openapi_schema or {}

    app.openapi = finished  # type: ignore[method-assign]


def _describe_errors(operation: dict[str, Any], *, of_api: bool) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    common = {"400": "The request is not valid"}
    if "requestBody" in operation:
        common |= _WITH_BODY
    if "security" in operation:
        common |= _WITH_SECURITY
    if of_api:
        common["503"] = "The database is out of reach, or the service is full"
    for status, description in common.items():
        responses.setdefault(status, {"description": description})
    for status, response in responses.items():
        if status >= "400":
            problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
            response["content"] = {"application/problem+json": problem}
