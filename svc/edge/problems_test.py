import asyncio
import json
from functools import partial
from typing import Any

import psycopg2
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

import database
from edge import paths, problems, requests
from edge.logs import Lines
from wire.refusals import Refused

SECRET = "canary-" + "of-the-document"


class MakeThingRequest(BaseModel):
    name: str
    count: int


class Service:
    """Some routes, and one, `/fails`, that raises `error`."""

    error: Exception

    def __init__(self) -> None:
        app = FastAPI(exception_handlers=problems.HANDLERS)
        things, others = APIRouter(), APIRouter()
        things.add_api_route("/things/{id}", self.fail, methods=["GET"])
        others.add_api_route("/things/{id}", self.fail, methods=["PUT"])
        others.add_api_route("/things/{id}/parts", self.fail, methods=["DELETE"])
        others.add_api_route("/things", self.make, methods=["POST"])
        others.add_api_route("/fails", self.fail)
        app.include_router(things)
        app.include_router(others)
        app.add_middleware(paths.resolve)
        app.add_middleware(problems.catch)
        self.client = TestClient(app)

    async def fail(self) -> None:
        raise self.error

    async def make(self, body: MakeThingRequest, limit: int = 1) -> None:
        pass

    def failing(self, error: Exception) -> dict[str, Any]:
        """The problem that `error` becomes."""
        self.error = error
        answer = self.client.get("/fails")
        assert answer.headers["Content-Type"] == "application/problem+json"
        told: dict[str, Any] = answer.json()
        assert told["status"] == answer.status_code
        return told


@pytest.fixture
def service() -> Service:
    return Service()


def test_a_problem_has_the_members_of_rfc_9457() -> None:
    answer = problems.problem(409, "The name is taken.", headers={"ETag": '"1"'})
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["ETag"] == '"1"'
    assert json.loads(bytes(answer.body)) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "The name is taken.",
    }


def test_a_refusal_of_a_slice_keeps_its_detail_and_its_headers(service: Service) -> None:
    service.error = HTTPException(412, "It has changed.", {"ETag": '"7"'})
    answer = service.client.get("/fails")
    assert (answer.status_code, answer.headers["ETag"]) == (412, '"7"')
    assert answer.json()["detail"] == "It has changed."


def test_what_checks_refuse_has_one_answer_for_every_slice(service: Service) -> None:
    fault = {"check": "c", "pointer": "/a", "detail": "must be an integer"}
    failed = service.failing(database.CheckFailed([fault]))
    assert (failed["status"], failed["type"]) == (409, "urn:problem:check-failed")
    assert failed["errors"] == [fault]
    in_use = service.failing(database.CheckInUse("01K3"))
    assert (in_use["status"], in_use["type"]) == (409, "urn:problem:check-in-use")
    assert "01K3" in in_use["detail"]
    refused = service.failing(
        database.SchemaRefused([{"pointer": "/kind", "detail": "is unknown"}])
    )
    assert (refused["status"], refused["type"]) == (400, "about:blank")
    assert refused["errors"] == [{"pointer": "/kind", "detail": "is unknown"}]
    large = service.failing(database.SchemaTooLarge("It has at most 64 KiB."))
    assert (large["status"], large["detail"]) == (413, "It has at most 64 KiB.")


@pytest.mark.parametrize("kind", [database.CheckFailed, database.SchemaRefused])
def test_a_long_key_of_a_document_is_not_sent_back(service: Service, kind: Any) -> None:
    told = service.failing(kind([{"pointer": f"/a/b/{'k' * 1100}/c", "detail": "is wrong"}]))
    assert told["errors"] == [{"pointer": "/a/b", "detail": "is wrong"}]


def test_an_unknown_path_is_a_404_and_a_slice_s_own_404_another(service: Service) -> None:
    assert service.client.get("/nowhere").json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no such path.",
    }
    assert service.failing(HTTPException(404, "No such thing."))["detail"] == "No such thing."


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/things/a", "GET, HEAD, PUT"),
        ("POST", "/things/a/", "GET, HEAD, PUT"),
        ("BREW", "/things/a", "GET, HEAD, PUT"),
        ("GET", "/things/a/parts", "DELETE"),
        ("PUT", "/things", "POST"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
def test_a_405_allows_every_method_of_the_path(
    service: Service, method: str, path: str, allowed: str
) -> None:
    answer = service.client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == f"This path has no {method}."


def test_a_refused_head_has_the_status_and_no_body(service: Service) -> None:
    for path, status in (("/nowhere", 404), ("/things", 405)):
        answer = service.client.head(path)
        assert (answer.status_code, answer.content) == (status, b"")


def test_invalid_input_is_a_400_that_points_at_each_place(service: Service) -> None:
    answer = service.client.post("/things?limit=ten", json={"count": "many"})
    assert answer.status_code == 400
    told = answer.json()
    assert told["title"] == "Bad Request"
    errors = {error.get("pointer", error.get("parameter")): error for error in told["errors"]}
    assert set(errors) == {"limit", "/name", "/count"}
    assert errors["/name"] == {"pointer": "/name", "detail": "Field required."}


def test_no_value_that_was_sent_is_echoed(service: Service) -> None:
    answer = service.client.post("/things", json={"name": [SECRET], "count": SECRET})
    assert answer.status_code == 400
    assert SECRET not in answer.text


def invalid(*locations: tuple[str | int, ...]) -> RequestValidationError:
    return RequestValidationError(
        [{"type": "x", "loc": location, "msg": "No", "input": SECRET} for location in locations]
    )


@pytest.mark.parametrize(
    ("location", "place"),
    [
        (("body",), {"pointer": ""}),
        ((), {"pointer": ""}),
        (("body", "config", "a", 0, 12), {"pointer": "/config/a/0/12"}),
        (("body", "a/b", "c~d", "~1"), {"pointer": "/a~1b/c~0d/~01"}),
        (("body", "", "é😀 "), {"pointer": "//é😀 "}),
        (("query", "limit"), {"parameter": "limit"}),
        (("path", "id"), {"parameter": "id"}),
        (("query", "x" * 5000), {"parameter": "x" * 1024}),
        (("query",), {}),
        (("body", "x" * 1023), {"pointer": "/" + "x" * 1023}),
        (("body", "x" * 1024), {"pointer": ""}),
        (("body", "config", "x" * 5000, "a"), {"pointer": "/config"}),
        (("body", "config", "/" * 600, "a"), {"pointer": "/config"}),
        (("body", *["abc"] * 5000), {"pointer": "/abc" * 256}),
    ],
)
def test_a_place_is_a_json_pointer_or_a_parameter_of_bounded_length(
    service: Service, location: tuple[str | int, ...], place: dict[str, str]
) -> None:
    assert service.failing(invalid(location))["errors"] == [{**place, "detail": "No."}]


def test_at_most_20_errors_are_told(service: Service) -> None:
    told = service.failing(invalid(*(("body", number) for number in range(1000))))
    assert [error["pointer"] for error in told["errors"]] == [f"/{n}" for n in range(20)]


def test_a_refusal_points_at_what_it_is_about(service: Service) -> None:
    errors = [(("body", "configurations", "a/b"), "This has revision 4"), (("query", "at"), "No")]
    service.error = Refused(412, "Some have changed.", errors, {"ETag": '"7"'})
    answer = service.client.get("/fails")
    assert (answer.status_code, answer.headers["ETag"]) == (412, '"7"')
    assert answer.json()["detail"] == "Some have changed."
    assert answer.json()["errors"] == [
        {"pointer": "/configurations/a~1b", "detail": "This has revision 4."},
        {"parameter": "at", "detail": "No."},
    ]


def test_a_refusal_tells_at_most_20_errors_and_none_where_there_are_none(service: Service) -> None:
    many = [(("body", number), "No") for number in range(1000)]
    told = service.failing(Refused(412, "All have changed.", many))
    assert [error["pointer"] for error in told["errors"]] == [f"/{n}" for n in range(20)]
    assert "errors" not in service.failing(Refused(409, "The name is taken."))


@pytest.mark.parametrize(
    "error",
    [
        database.Unavailable("Out of reach."),
        database.Overloaded("Full."),
        database.OutcomeUnknown("Whether it was made is unknown."),
    ],
)
def test_a_database_that_cannot_serve_is_a_503_with_retry_after(
    service: Service, error: Exception
) -> None:
    assert service.failing(error)["detail"] == str(error)
    answer = service.client.get("/fails")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_what_the_database_cannot_keep_is_a_400(service: Service) -> None:
    told = service.failing(database.ValueRefused("It cannot be kept."))
    assert (told["status"], told["detail"]) == (400, "It cannot be kept.")


def test_a_client_that_hung_up_is_no_failure_of_the_service(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    assert service.failing(ClientDisconnect())["status"] == 400
    assert caplog.records == []


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """The one record, as production writes it."""
    [record] = caplog.records
    assert (record.name, record.levelname) == ("config_service", "ERROR")
    return str(json.loads(Lines("json").format(record))["message"])


@pytest.mark.parametrize(
    ("kind", "sqlstate", "named"),
    [
        (ZeroDivisionError, None, "ZeroDivisionError"),
        (psycopg2.IntegrityError, "23514", "IntegrityError (SQLSTATE 23514)"),
        (ExceptionGroup, None, "ExceptionGroup"),
    ],
)
def test_anything_else_is_a_500_whose_text_is_neither_answered_nor_logged(
    service: Service,
    caplog: pytest.LogCaptureFixture,
    kind: type[Exception],
    sqlstate: str | None,
    named: str,
) -> None:
    error = type(kind.__name__, (kind,), {"pgcode": sqlstate})
    told = service.failing(
        error(SECRET, [ValueError(SECRET)]) if kind is ExceptionGroup else error(SECRET)
    )
    assert told == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The service failed unexpectedly; the log says where.",
    }
    line = logged(caplog)
    assert f"unexpected error: {named} at" in line
    assert "problems_test.py" in line
    assert "in fail" in line
    assert SECRET not in line


def test_the_cause_of_a_failure_is_not_logged_either(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    error = ValueError(SECRET)
    error.__cause__ = KeyError(SECRET)
    error.add_note(SECRET)
    assert service.failing(error)["status"] == 500
    assert SECRET not in logged(caplog)


async def nothing() -> Message:
    raise AssertionError("nothing asks for a message")


def test_a_failure_within_an_answer_cuts_it_and_tells_the_server_nothing_of_the_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[Message] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError(SECRET)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    noting = partial(requests.accompany, level="ERROR", form="json")
    with pytest.raises(Exception, match=r"^$") as raised:
        asyncio.run(asyncio.wait_for(noting(problems.catch(app))(scope, nothing, send), 10))
    assert raised.type is not ValueError
    assert raised.value.__suppress_context__
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert "unexpected error: ValueError at" in logged(caplog)
    assert SECRET not in logged(caplog)


def test_a_failure_of_the_start_is_the_server_s_to_tell() -> None:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise ValueError("no")

    async def send(_: Message) -> None:
        raise AssertionError("nothing is sent")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(asyncio.wait_for(problems.catch(app)({"type": "lifespan"}, nothing, send), 10))


def test_a_cancelled_request_is_not_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise asyncio.CancelledError

    async def send(_: Message) -> None:
        raise AssertionError("nothing is sent")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(asyncio.wait_for(problems.catch(app)({"type": "http"}, nothing, send), 10))
    assert caplog.records == []
