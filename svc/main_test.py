import ast
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

import main
import migrations
from config import Settings
from conftest import Listener
from edge import logs

FEATURES = main.HERE / "features"
ID = "01K3Z5W8Q4R7T2V9X6Y1B3C5D7"
NOBODY = "postgresql://nobody:hunter2@127.0.0.1:1/none"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def drained() -> Iterator[None]:
    """The log of a test is not written during the next one."""
    yield
    logs.writer().drain(10)


def slices() -> list[Path]:
    return sorted(path.parent for path in FEATURES.glob("*/*/*.py") if path.name == "handler.py")


def operations() -> dict[str, dict[str, Any]]:
    """The operations in the OpenAPI document, by door: `GET /health`."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in main.app.openapi()["paths"].items()
        for method, operation in methods.items()
    }


def test_the_folders_of_the_slices_and_the_operations_are_the_same_set() -> None:
    doors = [ast.get_docstring(ast.parse((one / "__init__.py").read_text())) for one in slices()]
    assert sorted(map(str, doors)) == sorted(operations())


def test_every_folder_of_a_feature_is_a_slice() -> None:
    folders = {path for path in FEATURES.glob("*/*") if any(path.glob("*.py"))}
    assert folders == set(slices())


def test_operation_function_and_operation_id_are_one_name() -> None:
    functions = {
        f"{method} {route.path}": route.endpoint.__name__
        for route in main.app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert {door: one["operationId"] for door, one in operations().items()} == functions
    assert len(set(functions.values())) == len(functions)


def test_422_is_nowhere_in_the_openapi_document() -> None:
    document = json.dumps(main.app.openapi())
    assert "422" not in document
    assert "HTTPValidationError" not in document


def imported(path: Path) -> Iterator[str]:
    """The dotted names that the module at `path` imports."""
    package = path.relative_to(main.HERE).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_a_slice_imports_itself_and_what_is_shared_and_nothing_else() -> None:
    shared = {"database", "config", "migrations", "wire", "fastapi", "pydantic", "psycopg2"}
    of_tests = {"pytest", "conftest"}
    strangers = []
    for path in FEATURES.glob("**/*.py"):
        own = ".".join(path.relative_to(main.HERE).parts[:3])
        allowed = shared | sys.stdlib_module_names
        if path.stem.endswith("_test"):
            allowed |= of_tests
        strangers += [
            f"{path.relative_to(main.HERE)}: {name}"
            for name in imported(path)
            if not f"{name}.".startswith(f"{own}.") and name.split(".")[0] not in allowed
        ]
    assert strangers == []


def test_nothing_but_tests_imports_a_slice_by_name() -> None:
    importers = [
        f"{path.relative_to(main.HERE)}: {name}"
        for path in [*main.HERE.glob("*.py"), *main.HERE.glob("[!f.]*/**/*.py")]
        if not path.stem.endswith("_test") and not path.stem.startswith("test_")
        for name in imported(path)
        if name.split(".")[0] == "features"
    ]
    assert importers == []


class Tree:
    """A tree of slices in the place of the service's own: one route each."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root, self._routes = root, dict[str, str]()
        self.imported: list[str] = []
        monkeypatch.setattr(main, "HERE", root)
        monkeypatch.setattr(main, "import_module", self._import)

    def add(self, folder: str, route: str) -> None:
        handler = self._root / "features" / folder / "handler.py"
        handler.parent.mkdir(parents=True)
        handler.touch()
        self._routes[f"features.{folder.replace('/', '.')}.handler"] = route

    def _import(self, name: str) -> SimpleNamespace:
        self.imported.append(name)
        if self._routes[name] == "broken":
            raise ImportError(name)
        router = APIRouter()
        router.add_api_route(self._routes[name], lambda: None)
        return SimpleNamespace(router=router)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    return Tree(tmp_path, monkeypatch)


def test_a_new_folder_is_a_new_route(tree: Tree) -> None:
    tree.add("things/list", "/things")
    assert [route.path for router in main.routers() for route in found(router)] == ["/things"]
    tree.add("others/list", "/others")
    assert tree.imported == ["features.things.list.handler"]
    assert len(main.routers()) == 2


def found(router: APIRouter) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]


def test_a_literal_segment_comes_before_a_parameter_whatever_the_folders_are_called(
    tree: Tree,
) -> None:
    tree.add("things/any", "/things/{id}")
    tree.add("things/deep", "/things/{id}/parts")
    tree.add("things/latest", "/things/latest")
    tree.add("things/mine", "/things/z/parts")
    paths = [route.path for router in main.routers() for route in found(router)]
    assert paths.index("/things/latest") < paths.index("/things/{id}")
    assert paths.index("/things/z/parts") < paths.index("/things/{id}/parts")
    assert tree.imported == [
        f"features.things.{one}.handler" for one in ("any", "deep", "latest", "mine")
    ]


def test_a_slice_that_cannot_be_imported_stops_the_start(tree: Tree) -> None:
    tree.add("things/list", "/things")
    tree.add("things/worse", "broken")
    with pytest.raises(ImportError, match="worse"):
        main.routers()


def test_no_route_of_this_service_hides_another() -> None:
    routes = [route for route in main.app.routes if isinstance(route, APIRoute)]
    for number, route in enumerate(routes):
        for earlier in routes[:number]:
            if earlier.methods & route.methods:
                assert not earlier.path_regex.match(route.path), (earlier.path, route.path)


def configured(**given: Any) -> Settings:
    return Settings(**{"_env_file": None, **given})


@pytest.fixture
def client() -> TestClient:
    """The service without its database."""
    return TestClient(main.app, follow_redirects=False)


@pytest.mark.parametrize("path", ["/health", "/health/", "/docs", "/docs/", "/openapi.json"])
def test_what_needs_no_database_answers_without_one(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_a_path_answers_alike_with_and_without_a_trailing_slash(
    client: TestClient, listener: Listener
) -> None:
    for path in ("/api/v1/applications", "/api/v1/applications/"):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (200, "[]")
    assert len(listener.statements) == 2


def test_head_answers_like_get_without_the_body(client: TestClient) -> None:
    get, head = client.get("/health"), client.head("/health")
    del get.headers["X-Request-ID"], head.headers["X-Request-ID"]
    assert (head.status_code, head.headers, head.content) == (200, get.headers, b"")
    assert client.head("/nowhere").status_code == 404


@pytest.mark.parametrize("path", ["/", "/redoc", "/api", "/api/v1", "/nowhere", "/health//"])
def test_another_path_is_a_404_in_problem_details(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


LARGE = b"[" * (1024 * 1024 + 1)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/nowhere", {}, LARGE, 404),
        ("POST", "/health", {}, LARGE, 405),
        ("POST", "/api/v1/applications", {}, LARGE, 415),
        ("POST", "/api/v1/applications", JSON, LARGE, 413),
        ("POST", "/api/v1/applications", JSON, LARGE[:-1], 400),
        ("PUT", f"/api/v1/applications/{ID}", {}, b"no", 415),
        ("PUT", f"/api/v1/applications/{ID}", JSON, b"no", 400),
        ("PUT", "/api/v1/applications/no", JSON, b'{"name": "a"}', 400),
    ],
)
def test_where_several_refusals_apply_the_first_is_answered(
    client: TestClient, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    assert client.request(method, path, headers=headers, content=body).status_code == status


def test_two_services_in_one_process_have_settings_of_their_own() -> None:
    small = TestClient(main.create_app(configured(max_body_bytes=1024)))
    closed = TestClient(
        main.create_app(configured(docs_public=False, api_tokens=f"ci:read:{'0' * 64}"))
    )
    for size, status in ((1024, 400), (1025, 413)):
        answer = small.post("/api/v1/applications", content=b"[" * size, headers=JSON)
        assert answer.status_code == status
    assert closed.post("/api/v1/applications", content=b"[" * 1025).status_code == 401
    assert small.get("/docs").status_code == 200
    assert closed.get("/docs").status_code == 401


def test_only_the_settings_of_the_process_are_read_where_the_service_is_made() -> None:
    readers = [
        str(path.relative_to(main.HERE))
        for room in ("wire", "edge", "postgres", "features")
        for path in [main.HERE / "database.py", *(main.HERE / room).glob("**/*.py")]
        if not path.stem.endswith("_test") and "config.settings" in set(imported(path))
    ]
    assert readers == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/metrics", 200),
        ("GET", "/api/v1/applications", 503),
        ("GET", "/api/v1/applications?limit=no", 400),
        ("GET", "/nowhere", 404),
        ("POST", "/docs", 405),
        ("POST", "/api/v1/applications", 415),
    ],
)
def test_every_answer_forbids_a_browser_to_guess_its_type_and_to_run_it(
    client: TestClient, method: str, path: str, status: int
) -> None:
    assert_harmless(client.request(method, path), status)


def assert_harmless(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    [policy] = answer.headers.get_list("Content-Security-Policy")
    assert policy == "default-src 'none'; frame-ancestors 'none'; sandbox"


def test_an_unexpected_error_and_a_missing_token_are_answered_alike(
    client: TestClient, listener: Listener
) -> None:
    listener.error = ZeroDivisionError()
    assert_harmless(client.get("/api/v1/applications"), 500)
    guarded = TestClient(main.create_app(configured(api_tokens=f"ci:read:{'0' * 64}")))
    assert_harmless(guarded.get("/api/v1/applications"), 401)


def test_the_service_starts_without_a_database_and_says_what_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = configured(database_url=NOBODY, database_direct_url=None)
    with TestClient(main.create_app(settings)) as client:
        assert client.get("/health").status_code == 200
        answer = client.get("/api/v1/applications")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert client.get("/health/ready").status_code == 503
    assert "hunter2" not in caplog.text + answer.text


def test_an_obstacle_at_the_start_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(migrations, "obstacle", {NOBODY: "2 migrations"}.get)
    settings = configured(database_url=NOBODY, database_direct_url=None)
    said = ("config_service", logging.WARNING, "not ready: 2 migrations")
    with TestClient(main.create_app(settings)) as client:
        for _ in range(1000):
            client.get("/health")
            if said in caplog.record_tuples:
                break
    assert caplog.record_tuples.count(said) == 1
