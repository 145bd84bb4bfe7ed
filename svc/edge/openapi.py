"""Completes the OpenAPI document: errors as problem details, headers of answers, bearer tokens."""

from typing import Any

from fastapi import FastAPI


def _text(description: str, example: str, **keywords: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, "examples": [example], **keywords}


_INFO = {
    "description": (
        "Every error is a problem (RFC 9457). A change that says in `If-Match` which `ETag` it"
        " starts from is refused (412) where somebody else was quicker. With `dry_run=true` a"
        " change is answered and not made; sent again without it, and with the `ETag` of that"
        " answer in `If-Match`, it does exactly what was answered. `HEAD` answers wherever `GET`"
        " does. A method that a path does not have is a 405, with `Allow`."
    ),
    "contact": {"name": "The maintainers of the Config Service"},
    "license": {"name": "No licence is granted", "identifier": "LicenseRef-None"},
}
_SERVERS = [{"url": "/", "description": "The service that this document came from."}]
_TOKEN = {"type": "http", "scheme": "bearer", "description": "What `make token` prints."}
_ERROR = {
    "type": "object",
    "description": "One thing that is wrong with the request.",
    "required": ["detail"],
    "properties": {
        "pointer": _text("A JSON Pointer (RFC 6901) into the body.", "/config"),
        "parameter": _text("A query parameter, or `id` of the path.", "limit"),
        "check": _text(
            "The check that is against it; `pointer` then leads into the merged document.",
            "01K3Z6F4N9T6P8Q2D5E7F0H1J2",
        ),
        "detail": _text("What is wrong there.", "Field required."),
    },
}
_PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _text("What kind of problem.", "about:blank", format="uri-reference"),
        "title": _text("What the status means.", "Bad Request"),
        "status": {"type": "integer", "description": "The status.", "examples": [400]},
        "detail": _text("What is wrong.", "The request is not valid: see errors."),
        "errors": {"type": "array", "maxItems": 20, "items": _ERROR},
    },
}
_OF_API = {
    "401": "There is no valid token",
    "403": "The token does not allow it",
    "503": "The database is out of reach, or the service is full",
}
_WITH_BODY = {
    "413": "The body is larger than the service takes",
    "415": "The body is not of the type that is documented, in UTF-8",
}
_CHECKED = "A check is against it: see `type` and `errors`"
# The headers of answers: each with its name, what it says, and an example.
_HEADERS = {
    "RequestId": ("X-Request-ID", "The request's name in the service's log.", "5f0c7b2e"),
    "ETag": ("ETag", "The state, for If-Match and If-None-Match.", '"7"'),
    "FirstETag": ("ETag", "The state; none of a dry run, where there was no state before.", '"1"'),
    "TriedETag": ("ETag", "Of a dry run: the state that it would start from.", '"7"'),
    "CurrentETag": ("ETag", "The state as it is now, if there is one.", '"8"'),
    "Location": ("Location", "Where it is.", "/api/v1/applications/01K3Z5W8Q4R7T2V9X6Y1B3C5D7"),
    "Then": (
        "Content-Location",
        "Where `at` is a time: the same request with the sequence that this stands for.",
        "/api/v1/config?application=billing&name=production&at=46",
    ),
    "Next": ("Link", "The next page, if there is one.", '</api/v1/x?after=1>; rel="next"'),
    "Cache": ("Cache-Control", "It may be kept, but is asked for each time.", "private, no-cache"),
    "Waited": ("Preference-Applied", "How long it could wait, if it was to.", "wait=30"),
    "Patches": ("Accept-Patch", "The type of a patch.", "application/merge-patch+json"),
    "Retry": ("Retry-After", "The seconds after which to try again.", "1"),
    "Scheme": ("WWW-Authenticate", "How to send a token.", "Bearer"),
}
_OPTIONAL = {"FirstETag", "TriedETag", "CurrentETag", "Then", "Next", "Waited"}
# Which answers have it: of these statuses, or of any; of operations with one of these traits, or of
# all. A trait is a method, a parameter that is taken, or the type that is sent. Of two headers with
# the same name the first counts.
_SENT = [
    ("RequestId", "", ""),
    ("FirstETag", "200 201", "post"),
    ("ETag", "200 304", "if-match if-none-match"),
    ("TriedETag", "204", "dry_run"),
    ("CurrentETag", "412 428", ""),
    ("Location", "201", ""),
    ("Then", "200 304", "at"),
    ("Next", "200", "array"),
    ("Cache", "200 304", "if-none-match"),
    ("Waited", "200 304", "prefer"),
    ("Patches", "415", "patch"),
    ("Retry", "503", ""),
    ("Scheme", "401", ""),
]


def install(app: FastAPI, *, secured: bool) -> None:
    """Makes `/openapi.json` of `app` describe what the edge adds.

    Bearer tokens are optional where the service is not `secured` by them: a client that was made
    from such a document can send one elsewhere.
    """
    generate = app.openapi
    token: dict[str, list[str]] = {"token": []}
    security = [token] if secured else [{}, token]

    def finished() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            document["info"] |= _INFO
            document.setdefault("servers", _SERVERS)
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    of_api = path.startswith("/api/")
                    operation["security"] = security if of_api else []
                    _describe_parameters(operation)
                    _describe_errors(operation, of_api=of_api)
                    _describe_headers(operation, method)
            components = document.setdefault("components", {})
            schemas = components.get("schemas", {}).items()
            others = {name: one for name, one in schemas if not name.endswith("ValidationError")}
            components["schemas"] = others | {"Problem": _PROBLEM}
            components["headers"] = {key: _header(key) for key in _HEADERS}
            components["securitySchemes"] = {"token": _TOKEN}
        return app.openapi_schema or {}

    app.openapi = finished  # type: ignore[method-assign]


def _describe_parameters(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):  # tools look here for what the type has
        parameter.setdefault("description", parameter["schema"].pop("description", ""))


def _describe_errors(operation: dict[str, Any], *, of_api: bool) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if _is_checked(operation):
        own = responses.get("409", {}).get("description")
        responses["409"] = {"description": ". ".join(filter(None, [own, _CHECKED]))}
    common = {"400": "The request is not valid"} | (_OF_API if of_api else {})
    if "requestBody" in operation:
        common |= _WITH_BODY
    for status, description in common.items():
        responses.setdefault(status, {"description": description})
    for status, response in responses.items():
        if status >= "400":
            problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
            response["content"] = {"application/problem+json": problem}


def _is_checked(operation: dict[str, Any]) -> bool:
    """Whether it changes configurations; the deletion of an application takes its checks along."""
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    return "note" in names and "applications" not in operation.get("tags", [])


def _describe_headers(operation: dict[str, Any], method: str) -> None:
    taken = {method} | {parameter["name"] for parameter in operation.get("parameters", [])}
    for status, response in operation["responses"].items():
        sent = response.get("content", {}).get("application/json", {})
        traits = taken | {sent.get("schema", {}).get("type")}
        for key, statuses, wanted in _SENT:
            if status in (statuses or status) and (not wanted or traits & {*wanted.split()}):
                name, header = _HEADERS[key][0], {"$ref": f"#/components/headers/{key}"}
                response.setdefault("headers", {}).setdefault(name, header)


def _header(key: str) -> dict[str, Any]:
    _, description, example = _HEADERS[key]
    schema = {"type": "string", "examples": [example]}
    return {"description": description, "required": key not in _OPTIONAL, "schema": schema}
