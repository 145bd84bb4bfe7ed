"""The content of an application with many configurations, through real HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from conftest import PLAIN, Server

APPLICATIONS = "/api/v1/applications"


def content(number: int, turn: int = 0) -> bytes:
    """A body of so many configurations of some 1.5 KB, other ones for each turn."""
    document = {
        f"service_{n}": {"host": f"node-{n}.example", "port": n, "motto": 'So "süß"', "turn": turn}
        for n in range(19)
    }
    item = json.dumps({"config": document}, ensure_ascii=False)
    items = ",".join(f'"{n}":{item}' for n in range(number))
    return f'{{"configurations":{{{items}}}}}'.encode()


@pytest.fixture
def path(api: httpx.Client) -> str:
    """The content of a new application."""
    owner = api.post(APPLICATIONS, json={"name": "large"}).json()["id"]
    return f"{APPLICATIONS}/{owner}/content"


class Beside:
    """A client that asks once a millisecond, and the times that it had to wait."""

    def __init__(self, server: Server, path: str) -> None:
        self.base, self.path = server.client.base_url, path
        self.waits = list[float]()
        self._over = threading.Event()

    def ask(self) -> None:
        """Goes on until it is over."""
        with httpx.Client(base_url=self.base, timeout=30, verify=PLAIN) as client:
            while not self._over.wait(0.001):
                began = time.perf_counter()
                assert client.get(self.path).status_code == 200
                self.waits.append(time.perf_counter() - began)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """It asks for the time of the block."""
        with ThreadPoolExecutor(1) as thread:
            asking = thread.submit(self.ask)
            try:
                yield
            finally:
                self._over.set()
            asking.result()


def test_a_thousand_configurations_are_put_at_once_and_others_are_served_meanwhile(
    server: Server, api: httpx.Client, path: str
) -> None:
    made = {"application_id": path.split("/")[-2], "name": "0"}
    other = api.post("/api/v1/configurations", json=made).headers["location"]
    body, headers = content(1000), {"Content-Type": "application/json", "If-Match": "*"}
    health, reader = Beside(server, "/health"), Beside(server, other)
    with health.asking(), reader.asking():
        began = time.perf_counter()
        answer = api.put(path, content=body, headers=headers)
        took = time.perf_counter() - began
    assert answer.status_code == 200
    assert len(answer.json()["changes"]) == 1000
    for one in health, reader:
        print(f"{one.path}: {len(one.waits)} times, at most {1000 * max(one.waits):.0f} ms")
        assert len(one.waits) > 10
        assert max(one.waits) < took
    print(f"{took:.2f} s")
    assert took < 20  # 0.5 s on an idle machine


def test_16_mib_are_replaced_patched_and_read_without_holding_up_others(
    server: Server, path: str
) -> None:
    whole = content(9_300)
    assert 0.9 * 2**24 < len(whole) < 2**24
    # For nobody's application PostgreSQL has nothing to do, and the service all the same.
    nowhere = f"{APPLICATIONS}/01ARZ3NDEKTSV4RRFFQ69G5FAV/content"
    asked: list[tuple[str, str, bytes | None, int]] = [
        ("PUT", path, whole, 200),
        *[("PUT", nowhere, whole, 404)] * 2,
        *[("PATCH", nowhere, whole, 404)] * 2,
        *[("GET", path, None, 200)] * 2,
    ]
    longest = dict[str, float]()
    # Not the client of the other tests, which would look at all of each answer.
    with httpx.Client(base_url=server.client.base_url, timeout=60, verify=PLAIN) as client:
        for method, where, body, status in asked:
            media_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
            headers = {"Content-Type": media_type, "If-Match": "*"} if body else {}
            health = Beside(server, "/health")
            with health.asking():
                answer = client.request(method, where, content=body, headers=headers)
            assert answer.status_code == status
            # What the service itself holds up comes each time; what the machine does, need not.
            longest[method] = min(max(health.waits), longest.get(method, 60))
    print({method: f"at most {1000 * wait:.0f} ms" for method, wait in longest.items()})
    assert max(longest.values()) < 0.5  # 0.07 s on an idle machine
