"""Real HTTP through a real uvicorn to a real PostgreSQL, in a database of the tests' own."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from psycopg2.extensions import connection, make_dsn

from conftest import Server, empty

NOWHERE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
APPLICATIONS = "/api/v1/applications"
CONFIGURATIONS = "/api/v1/configurations"
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def rows(db: connection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def application(api: httpx.Client, name: str = "billing", **more: Any) -> dict[str, Any]:
    answer = api.post(APPLICATIONS, json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def configuration(
    api: httpx.Client, application_id: str, name: str = "production", **more: Any
) -> dict[str, Any]:
    body = {"application_id": application_id, "name": name, **more}
    answer = api.post(CONFIGURATIONS, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem details of an answer that has to be this refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "detail"} <= problem.keys()
    return problem


# Applications


def test_a_created_application_is_in_the_table_and_is_read_back(
    api: httpx.Client, db: connection
) -> None:
    answer = api.post(APPLICATIONS, json={"name": "billing", "comments": "ours"})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{APPLICATIONS}/{made['id']}"
    assert ULID.fullmatch(made["id"])
    assert made == {"id": made["id"], "name": "billing", "comments": "ours"}
    found = rows(db, "select id, name, comments from applications")
    assert found == [(made["id"], "billing", "ours")]
    read = api.get(answer.headers["location"])
    assert (read.status_code, read.json()) == (200, made | {"configuration_ids": []})


def test_a_replaced_application_changes_in_the_table(api: httpx.Client, db: connection) -> None:
    made = application(api, comments="old")
    answer = api.put(f"{APPLICATIONS}/{made['id']}", json={"name": "invoices"})
    assert answer.status_code == 200
    assert answer.json() == {"id": made["id"], "name": "invoices", "comments": None}
    found = rows(db, "select id, name, comments from applications")
    assert found == [(made["id"], "invoices", None)]


def test_what_get_returned_of_an_application_can_be_put_back(api: httpx.Client) -> None:
    made = application(api)
    configuration(api, made["id"])
    path = f"{APPLICATIONS}/{made['id']}"
    before = api.get(path)
    assert api.put(path, json=before.json()).status_code == 200
    assert api.get(path).json() == before.json()


def test_an_application_lists_the_ids_of_its_configurations_ascending(api: httpx.Client) -> None:
    made, other = application(api), application(api, "other")
    ids = [configuration(api, made["id"], f"c{n}")["id"] for n in range(5)]
    configuration(api, other["id"])
    assert api.get(f"{APPLICATIONS}/{made['id']}").json()["configuration_ids"] == sorted(ids)


def test_a_deleted_application_takes_its_configurations_with_it_and_no_others(
    api: httpx.Client, db: connection
) -> None:
    made, other = application(api), application(api, "other")
    configuration(api, made["id"], "a")
    configuration(api, made["id"], "b")
    kept = configuration(api, other["id"])
    answer = api.delete(f"{APPLICATIONS}/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert rows(db, "select id from applications") == [(other["id"],)]
    assert rows(db, "select id from configurations") == [(kept["id"],)]
    refused(api.get(f"{APPLICATIONS}/{made['id']}"), 404)
    refused(api.delete(f"{APPLICATIONS}/{made['id']}"), 404)


def test_an_application_name_is_unique(api: httpx.Client, db: connection) -> None:
    first, second = application(api), application(api, "second")
    assert "billing" in refused(api.post(APPLICATIONS, json={"name": "billing"}), 409)["detail"]
    refused(api.put(f"{APPLICATIONS}/{second['id']}", json={"name": "billing"}), 409)
    application(api, "Billing")
    found = rows(db, "select id from applications where name = 'billing'")
    assert found == [(first["id"],)]


def test_forty_clients_that_create_the_same_name_make_one_application(
    api: httpx.Client, db: connection
) -> None:
    with ThreadPoolExecutor(40) as clients:
        answers = list(
            clients.map(lambda _: api.post(APPLICATIONS, json={"name": "one"}), range(40))
        )
    assert sorted({answer.status_code for answer in answers}) == [201, 409]
    assert [answer.status_code for answer in answers].count(201) == 1
    assert rows(db, "select count(*) from applications") == [(1,)]


# Configurations


def test_a_created_configuration_is_in_the_table_and_is_read_back(
    api: httpx.Client, db: connection
) -> None:
    owner = application(api)
    config = {"currency": "EUR", "retries": 3, "rates": {"standard": 0.19}, "regions": ["eu", "us"]}
    answer = api.post(
        CONFIGURATIONS, json={"application_id": owner["id"], "name": "production", "config": config}
    )
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{CONFIGURATIONS}/{made['id']}"
    assert made == {
        "id": made["id"],
        "application_id": owner["id"],
        "name": "production",
        "comments": None,
        "config": config,
    }
    found = rows(db, "select id, application_id, name, comments, config from configurations")
    assert found == [(made["id"], owner["id"], "production", None, config)]
    read = api.get(answer.headers["location"])
    assert (read.status_code, read.json()) == (200, made)


def test_a_configuration_without_a_document_has_an_empty_one(api: httpx.Client) -> None:
    assert configuration(api, application(api)["id"])["config"] == {}


def test_a_replaced_configuration_changes_in_the_table(api: httpx.Client, db: connection) -> None:
    made = configuration(api, application(api)["id"], comments="old", config={"a": 1})
    body = {"name": "staging", "config": {"b": [1, 2, {"c": None}]}}
    answer = api.put(f"{CONFIGURATIONS}/{made['id']}", json=body)
    assert answer.status_code == 200
    assert answer.json() == made | body | {"comments": None}
    found = rows(db, "select name, comments, config from configurations")
    assert found == [("staging", None, body["config"])]


def test_what_get_returned_of_a_configuration_can_be_put_back(api: httpx.Client) -> None:
    made = configuration(api, application(api)["id"], config={"n": 1.5})
    path = f"{CONFIGURATIONS}/{made['id']}"
    answer = api.put(
        path, content=api.get(path).content, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()) == (200, made)


def test_a_deleted_configuration_is_gone_from_the_table(api: httpx.Client, db: connection) -> None:
    made = configuration(api, application(api)["id"])
    assert api.delete(f"{CONFIGURATIONS}/{made['id']}").status_code == 204
    assert rows(db, "select * from configurations") == []
    refused(api.get(f"{CONFIGURATIONS}/{made['id']}"), 404)
    refused(api.delete(f"{CONFIGURATIONS}/{made['id']}"), 404)
    refused(api.put(f"{CONFIGURATIONS}/{made['id']}", json={"name": "x", "config": {}}), 404)


def test_a_configuration_name_is_unique_within_its_application(api: httpx.Client) -> None:
    owner, other = application(api), application(api, "other")
    configuration(api, owner["id"], "production")
    configuration(api, other["id"], "production")
    second = configuration(api, owner["id"], "staging")
    body = {"application_id": owner["id"], "name": "production"}
    refused(api.post(CONFIGURATIONS, json=body), 409)
    path = f"{CONFIGURATIONS}/{second['id']}"
    refused(api.put(path, json={"name": "production", "config": {}}), 409)


def test_a_configuration_needs_an_application_that_exists(
    api: httpx.Client, db: connection
) -> None:
    answer = api.post(CONFIGURATIONS, json={"application_id": NOWHERE, "name": "x"})
    assert refused(answer, 400)["errors"][0]["pointer"] == "/application_id"
    assert rows(db, "select * from configurations") == []


def test_a_configuration_stays_with_its_application(api: httpx.Client, db: connection) -> None:
    owner, other = application(api), application(api, "other")
    made = configuration(api, owner["id"])
    path = f"{CONFIGURATIONS}/{made['id']}"
    for body in [{"application_id": other["id"]}, {"id": NOWHERE}]:
        problem = refused(api.put(path, json={"name": "x", "config": {}} | body), 400)
        assert problem["errors"][0]["pointer"] == f"/{next(iter(body))}"
    assert rows(db, "select name, application_id from configurations") == [
        ("production", owner["id"])
    ]


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ("'x', 'a'", "applications_id_ulid"),
        (f"'{NOWHERE.lower()}', 'a'", "applications_id_ulid"),
        (f"'{NOWHERE}', ''", "applications_name_form"),
        (f"'{NOWHERE}', ' a'", "applications_name_form"),
        (f"'{NOWHERE}', U&'a\\3000'", "applications_name_form"),
        (f"'{NOWHERE}', U&'a\\0085b'", "applications_name_form"),
    ],
)
def test_the_table_itself_refuses_what_the_service_would(
    db: connection, values: str, constraint: str
) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation) as caught:
        rows(db, f"insert into applications values ({values}) returning id")
    assert caught.value.diag.constraint_name == constraint


# Lists


def test_a_list_is_paged_by_its_links(api: httpx.Client) -> None:
    ids = sorted(application(api, f"application {n}")["id"] for n in range(7))
    seen, path = [], f"{APPLICATIONS}?limit=3"
    pages = 0
    while path:
        answer = api.get(path)
        seen += [one["id"] for one in answer.json()]
        path = answer.links.get("next", {}).get("url", "")
        pages += 1
    assert (seen, pages) == (ids, 3)


def test_the_link_to_the_next_page_carries_the_filters(api: httpx.Client) -> None:
    owner, other = application(api, "ours"), application(api, "theirs")
    for n in range(3):
        configuration(api, owner["id"], f"c{n}")
        configuration(api, other["id"], f"c{n}")
    answer = api.get(CONFIGURATIONS, params={"application_id": owner["id"], "limit": 2})
    assert answer.headers["link"].startswith(
        f"</api/v1/configurations?application_id={owner['id']}"
    )
    rest = api.get(answer.links["next"]["url"])
    found = answer.json() + rest.json()
    assert [one["application_id"] for one in found] == [owner["id"]] * 3
    assert "link" not in rest.headers
    assert all(one.keys() == {"id", "application_id", "name", "comments"} for one in found)


def test_a_list_is_filtered_by_the_exact_name(api: httpx.Client) -> None:
    wanted = application(api, 'a/b "c" 100% ü')
    application(api, "a/b")
    assert api.get(APPLICATIONS, params={"name": wanted["name"]}).json() == [wanted]
    made = configuration(api, wanted["id"], "x y")
    found = api.get(CONFIGURATIONS, params={"name": "x y"}).json()
    assert [one["id"] for one in found] == [made["id"]]
    assert api.get(CONFIGURATIONS, params={"application_id": NOWHERE}).json() == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1e9", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=1", "limit"),
        ("after=x", "after"),
        ("nmae=x", "nmae"),
        ("name=%00", "name"),
        ("name=", "name"),
    ],
)
def test_a_query_that_means_nothing_is_refused(
    api: httpx.Client, query: str, parameter: str
) -> None:
    for path in [APPLICATIONS, CONFIGURATIONS]:
        problem = refused(api.get(f"{path}?{query}"), 400)
        assert problem["errors"][0]["parameter"] == parameter


@pytest.mark.parametrize("query", ["name=%ff", "name=%zz", "name=%"])
def test_a_query_that_is_not_percent_encoded_utf_8_is_refused(
    api: httpx.Client, query: str
) -> None:
    refused(api.get(f"{APPLICATIONS}?{query}"), 400)


# The edge


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 257}, "/name"),
        ({"name": " x"}, "/name"),
        ({"name": "x\u2003"}, "/name"),
        ({"name": "a\u0085b"}, "/name"),
        ({"name": 1}, "/name"),
        ({"name": "x", "comments": "x" * 1025}, "/comments"),
        ({"name": "x", "comments": 1}, "/comments"),
        ({"name": "x", "comment": "mistyped"}, "/comment"),
        ({"name": "x", "id": NOWHERE}, "/id"),
    ],
)
def test_an_invalid_application_is_refused_with_a_pointer(
    api: httpx.Client, db: connection, body: dict[str, Any], pointer: str
) -> None:
    problem = refused(api.post(APPLICATIONS, json=body), 400)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert rows(db, "select * from applications") == []


def test_lengths_count_code_points(api: httpx.Client) -> None:
    made = application(api, "\U0001f600" * 256, comments="\U0001f600" * 1024)
    assert api.get(f"{APPLICATIONS}/{made['id']}").json()["comments"] == made["comments"]


def test_a_lower_case_id_is_accepted_and_answered_in_upper_case(api: httpx.Client) -> None:
    owner = application(api)
    made = configuration(api, owner["id"].lower())
    assert made["application_id"] == owner["id"]
    assert api.get(f"{APPLICATIONS}/{owner['id'].lower()}").json()["id"] == owner["id"]


@pytest.mark.parametrize("id", ["x", "0" * 25, "8" + "0" * 25, "O" * 26, "1", "%00", "%ff"])
def test_an_id_that_is_no_ulid_is_refused(api: httpx.Client, id: str) -> None:
    for path in [APPLICATIONS, CONFIGURATIONS]:
        problem = refused(api.get(f"{path}/{id}"), 400)
        assert problem["errors"] == [{"parameter": "id", "detail": "Input should be a ULID."}]


def test_every_path_answers_with_and_without_a_trailing_slash(api: httpx.Client) -> None:
    made = application(api)
    for path in [APPLICATIONS, f"{APPLICATIONS}/{made['id']}", "/health", "/docs"]:
        without, with_slash = api.get(path), api.get(f"{path}/")
        assert without.status_code == with_slash.status_code == 200
        assert without.content == with_slash.content


def test_head_answers_like_get_without_the_body(api: httpx.Client) -> None:
    made = application(api)
    for path in [f"{APPLICATIONS}/{made['id']}", APPLICATIONS, "/health", "/docs"]:
        get, head = api.get(path), api.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


def test_an_unknown_path_is_a_404_and_an_unknown_method_a_405(api: httpx.Client) -> None:
    refused(api.get("/api/v1/nothing"), 404)
    refused(api.post("/api/v1/nothing", content=b"x"), 404)
    answer = api.patch(APPLICATIONS)
    refused(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_the_documentation_describes_every_error_as_problem_details(api: httpx.Client) -> None:
    document = api.get("/openapi.json")
    assert "422" not in document.text
    for path, operations in document.json()["paths"].items():
        for operation in operations.values():
            if path.startswith("/api/"):
                assert {"400", "503"} <= operation["responses"].keys()
            for status, response in operation["responses"].items():
                assert status < "400" or "application/problem+json" in response["content"]
    assert "swagger" in api.get("/docs").text.lower()


def test_health_does_not_need_the_database_and_readiness_does() -> None:
    alone = Server(DATABASE_URL="postgresql://nobody:nothing@127.0.0.1:1/nowhere").start()
    try:
        assert alone.client.get("/health").json() == {"status": "ok"}
        refused(alone.client.get("/health/ready"), 503)
        answer = alone.client.get(APPLICATIONS)
        refused(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
    finally:
        alone.stop()


def test_the_service_is_not_ready_while_a_migration_is_pending(
    api: httpx.Client, db: connection
) -> None:
    assert api.get("/health/ready").status_code == 200
    [(name, checksum)] = rows(
        db, "delete from migrations where number = 1 returning name, checksum"
    )
    try:
        assert "migration" in refused(api.get("/health/ready"), 503)["detail"]
    finally:
        rows(db, "insert into migrations values (1, %s, %s) returning 1", name, checksum)


# Migrations and the tests themselves


def migrate(dsn: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "migrations", *arguments],
        cwd=Path(__file__).parent,
        env={"DATABASE_URL": dsn, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_eight_runners_at_once_apply_each_migration_once(dsn: str, db: connection) -> None:
    name = f"{db.info.dbname}_race"
    rows(db, "select 1")
    with db.cursor() as cursor:
        cursor.execute(f'drop database if exists "{name}" with (force)')
        cursor.execute(f'create database "{name}"')
    race = make_dsn(dsn, dbname=name)
    with ThreadPoolExecutor(8) as runners:
        results = list(runners.map(lambda _: migrate(race), range(8)))
    assert [result.returncode for result in results] == [0] * 8, results
    files = sorted(path.name for path in Path(__file__).parent.glob("migrations/*.sql"))
    said = "".join(result.stdout for result in results)
    assert [said.count(f"{file} applied") for file in files] == [1] * len(files)
    lines = migrate(race, "status").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[file, "applied"] for file in files]
    with db.cursor() as cursor:
        cursor.execute(f'drop database "{name}" with (force)')


def test_a_database_newer_than_the_code_stops_the_runner_with_one_line(
    dsn: str, db: connection
) -> None:
    rows(db, "insert into migrations values (999, '999_later.sql', 'x') returning 1")
    try:
        result = migrate(dsn)
    finally:
        rows(db, "delete from migrations where number = 999 returning 1")
    assert result.returncode == 1
    assert "999_later.sql" in result.stderr
    assert "newer" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_only_a_database_of_the_tests_may_be_emptied(dsn: str) -> None:
    other = psycopg2.connect(make_dsn(dsn, dbname="postgres"))
    with pytest.raises(RuntimeError, match="postgres is not a database of the tests"):
        empty(other)
    other.close()


def test_a_document_comes_back_to_the_last_digit(api: httpx.Client) -> None:
    owner = application(api)
    text = '{"a": 12345678901234567890, "b": 0.12345678901234567890, "c": 1.10, "d": [1, 1.0]}'
    body = f'{{"application_id": "{owner["id"]}", "name": "exact", "config": {text}}}'
    answer = api.post(CONFIGURATIONS, content=body, headers={"Content-Type": "application/json"})
    assert f'"config":{text}}}' in answer.text
    assert f'"config":{text}}}' in api.get(answer.headers["location"]).text
    assert json.loads(answer.text)["name"] == "exact"
