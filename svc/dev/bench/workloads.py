"""What `make bench` asks of the service, as a table, and the documents that it asks for."""

import json
from typing import NamedTuple

from dev.bench.load import TURN, request

# Documents are told apart by a number of four digits, which replaces this name in a workload.
# pgbench puts one of its own in its place, in string literals too.
NUMBER = ":number"

# What is read is not written, so that all rounds find the same.
READ, WRITTEN = range(1000, 2000), range(2000, 3000)
LARGE_READ, LARGE_WRITTEN = range(3000, 3100), range(3100, 3200)

# How many members make a document of about 1.5 KB, and one of 64 KB.
SMALL, LARGE = 20, 815


def identifier(number: int | str) -> str:
    """The id of a document, and of an application."""
    return f"0BENCH{'0' * 16}{number}"


APPLICATION = identifier(READ[0])


def document(number: int | str, turn: str, members: int = SMALL) -> str:
    """A document of so many members beside its `turn`, as JSON text."""
    features = {
        f"feature.{n}": {"enabled": n % 2 == 0, "ratio": n / 8, "label": f"value {n} of {number}"}
        for n in range(members)
    }
    return json.dumps({"turn": turn, **features})


def rows() -> list[tuple[str, str, str, str]]:
    """Of each document that is there from the start: id, application, name and text."""
    sizes = {SMALL: (*READ, *WRITTEN), LARGE: (*LARGE_READ, *LARGE_WRITTEN)}
    return [
        (identifier(number), APPLICATION, str(number), document(number, "", members))
        for members, numbers in sizes.items()
        for number in numbers
    ]


class Workload(NamedTuple):
    """Requests that differ in the number and the turn, and the status of their answers.

    Where that is 304, the requests have to name what they have already. `alone` is the measurement
    of PostgreSQL that runs the same statement, where there is one.
    """

    method: str
    path: str
    body: str = ""
    numbers: range = READ
    status: int = 200
    alone: str | None = None

    def requests(self) -> list[bytes]:
        """One for each of the numbers."""
        return [
            request(
                self.method,
                self.path.replace(NUMBER, str(number)),
                body=self.body.replace(NUMBER, str(number)),
            )
            for number in self.numbers
        ]


ALL = "/api/v1/configurations"
BY_ID = f"{ALL}/{identifier(NUMBER)}"
BY_NAME = f"{ALL}?application_id={APPLICATION}&name={NUMBER}"
CONFIG = "/api/v1/config?application=bench"
LAYER = f"{CONFIG}&name={NUMBER}"
# One of its own on top of two that all share.
LAYERS, TOPS = f"{CONFIG}&name={READ[0]}&name={READ[1]}&name={NUMBER}", READ[2:]
# The documents that are there from the start are the first changes, in a page of 100 from each.
CHANGES, PAGES = f"/api/v1/applications/{APPLICATION}/changes?limit=100&after={NUMBER}", range(100)

DOCUMENT = document(NUMBER, TURN)
CREATE = f'{{"application_id": "{APPLICATION}", "name": "{TURN}", "config": {DOCUMENT}}}'
REPLACE = f'{{"name": "{NUMBER}", "config": {DOCUMENT}}}'
REPLACE_LARGE = f'{{"name": "{NUMBER}", "config": {document(NUMBER, TURN, LARGE)}}}'
PATCH = f'{{"config": {{"turn": "{TURN}"}}}}'

WORKLOADS = {
    "GET": Workload("GET", BY_ID, alone="pgbench select"),
    "GET, 304": Workload("GET", BY_ID, status=304, alone="pgbench select"),
    "GET of 64 KB": Workload("GET", BY_ID, numbers=LARGE_READ),
    "list by name": Workload("GET", BY_NAME),
    "config": Workload("GET", LAYER),
    "config, 3 layers": Workload("GET", LAYERS, numbers=TOPS),
    "config, 3 layers, 304": Workload("GET", LAYERS, numbers=TOPS, status=304),
    "changes, 100": Workload("GET", CHANGES, numbers=PAGES),
    "POST": Workload("POST", ALL, CREATE, status=201),
    "PUT": Workload("PUT", BY_ID, REPLACE, numbers=WRITTEN, alone="pgbench update"),
    "PUT of 64 KB": Workload("PUT", BY_ID, REPLACE_LARGE, numbers=LARGE_WRITTEN),
    "PATCH": Workload("PATCH", BY_ID, PATCH, numbers=WRITTEN),
}
