"""A route whose body is the content of an application, behind the check of its size."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.testclient import TestClient
from pydantic import ValidationError
from starlette.types import Message

from edge import bodies, problems
from wire.route import ContentRoute
from wire.types import ConfigDocument, ConfigurationKey, InBatches, Item, Omissible, RequestModel

MIB = 1024 * 1024
# Of processor time, which counts whatever keeps the event loop waiting but other processes. It is a
# quarter of that at most.
LONGEST_STOP_SECONDS = 0.25


class PutItem(RequestModel):
    config: ConfigDocument
    comments: Omissible[str] = None


class PutRequest(RequestModel):
    configurations: Annotated[dict[ConfigurationKey, Annotated[PutItem, Item]], InBatches]


router = APIRouter(route_class=ContentRoute)


@router.put("/content")
async def put(body: PutRequest) -> Response:
    return Response(
        json.dumps({name: len(one.config) for name, one in body.configurations.items()})
    )


def service(body_bytes: int, content_bytes: int) -> FastAPI:
    app = FastAPI(exception_handlers=problems.HANDLERS)
    app.state.settings = SimpleNamespace(max_body_bytes=body_bytes)
    app.include_router(router)
    app.add_middleware(bodies.check, limit=body_bytes, content_limit=content_bytes)
    return app


@pytest.fixture
def client() -> TestClient:
    return TestClient(service(1000, 200_000))


def ask(client: TestClient, body: str) -> tuple[int, Any]:
    answer = client.put("/content", content=body, headers={"content-type": "application/json"})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("items", [1, 10, 100])  # the last is read beside the event loop
def test_many_documents_are_taken_that_are_larger_together_than_one_may_be(
    client: TestClient, items: int
) -> None:
    config = {"a": "b" * 900}
    text = json.dumps(config)
    body = json.dumps({"configurations": {f"c{n}": {"config": config} for n in range(items)}})
    assert ask(client, body) == (200, {f"c{n}": len(text) for n in range(items)})


def test_a_document_that_is_too_large_is_a_413_that_points_at_its_configuration(
    client: TestClient,
) -> None:
    large = {"config": {"a": "b" * 1000}}
    body = json.dumps({"configurations": {"e/u": large, "us": {"config": {}}, "ch": large}})
    status, told = ask(client, body)
    assert (status, told["detail"]) == (413, "A document is larger than 1000 bytes: see errors.")
    assert told["errors"] == [
        {"pointer": "/configurations/e~1u", "detail": "This is too large."},
        {"pointer": "/configurations/ch", "detail": "This is too large."},
    ]


def test_what_is_wrong_in_a_document_is_a_400_that_points_at_it(client: TestClient) -> None:
    status, told = ask(client, '{"configurations": {"eu": {"config": {"a": [NaN]}}}}')
    assert (status, told["errors"]) == (
        400,
        [{"pointer": "/configurations/eu/config/a/0", "detail": "This is not a JSON number."}],
    )


def test_of_very_many_wrong_items_the_first_are_told() -> None:
    with pytest.raises(ValidationError) as refusal:
        PutRequest.model_validate({"configurations": {f"c{number}": {} for number in range(1000)}})
    places = [error["loc"] for error in refusal.value.errors()]
    assert places == [("configurations", f"c{number}", "config") for number in range(100)]


def document(key: str, value: str) -> str:
    """A document of some 1.5 KB."""
    members = {f"{key}{number}": value * 10 for number in range(20)}
    return json.dumps(members, ensure_ascii=False)


@pytest.mark.parametrize(
    ("config", "status"),
    [
        pytest.param(document("key", "a value"), 200, id="small documents"),
        pytest.param(document("ä", "日本😀"), 200, id="documents beyond ASCII"),
        pytest.param('{"a":"' + "b" * 140 + '"}', 200, id="almost 100,000 documents"),
        pytest.param("{}", 413, id="more than 100,000 documents"),
        pytest.param("[" + '"a",' * 200_000 + "1]", 400, id="lists in their place"),
        pytest.param("[" + '"a word",' * 1_860_000 + "1]", 413, id="one document"),
        pytest.param('"' + "a" * (16 * MIB - 200) + '"', 413, id="one string"),
    ],
)
def test_the_event_loop_is_not_held_up_by_a_body_of_16_mib(config: str, status: int) -> None:
    items = (16 * MIB - 100) // (len(config.encode()) + 24)
    named = ",".join(f'"c{number}":{{"config":{config}}}' for number in range(items))
    body = f'{{"configurations":{{{named}}}}}'.encode()
    assert 13 * MIB < len(body) < 16 * MIB
    app, sent, stops = service(MIB, 16 * MIB), list[Message](), list[float]()
    chunks = [body[at : at + 64 * 1024] for at in range(0, len(body), 64 * 1024)]

    async def receive() -> Message:
        await asyncio.sleep(0)  # as a server lets others have their turn
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Message) -> None:
        sent.append(message)

    async def tick() -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(0.001)
            stops.append(time.process_time() - before)

    async def measure() -> None:
        ticking = asyncio.create_task(tick())
        json_type = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "PUT", "path": "/content", "query_string": b""}
        await app({**scope, "headers": json_type}, receive, send)
        await asyncio.sleep(0.01)  # the last stop ends
        ticking.cancel()

    asyncio.run(asyncio.wait_for(measure(), 120))
    assert sent[0]["status"] == status
    assert len(stops) > 1
    assert max(stops) < LONGEST_STOP_SECONDS
