"""What `docs/operations.md` gives to operators works: roles, alert rules, the unit, the image."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from psycopg2.extensions import make_dsn

import migrations
from conftest import HERE, Server

DOCS = HERE / "docs"
PAGE = (DOCS / "operations.md").read_text()
ALERTS, UNIT, CONTAINERFILE = (
    DOCS / name for name in ("alerts.yml", "config-service.service", "Containerfile")
)


# Roles


def run(dsn: str, sql: str) -> None:
    """Runs statements one by one, each in a transaction of its own."""
    with closing(psycopg2.connect(dsn)) as database, database.cursor() as cursor:
        database.autocommit = True
        for statement in filter(str.strip, sql.split(";")):
            cursor.execute(statement)


@pytest.fixture(scope="module")
def service_dsn(dsn: str) -> Iterator[str]:
    """The service's own role in a database that was made and migrated as the page says.

    Roles belong to the whole server: these have names and passwords of the tests' own.
    """
    with closing(psycopg2.connect(dsn)) as asking, asking.cursor() as cursor:
        cursor.execute("select rolsuper from pg_roles where rolname = current_user")
        if cursor.fetchone() != (True,):
            pytest.skip("DATABASE_URL is not a superuser's, who alone can make roles")
        name = f"{asking.info.dbname}_roles"
    owner, service = f"{name}_owner", f"{name}_service"
    names = {
        "database config_service": f'database "{name}"',
        "config_service": f'"{service}"',
        "config_owner": f'"{owner}"',
        "…": "canary",
    }
    section = PAGE.partition("\n## The database\n")[2].partition("\n## ")[0]
    section = re.sub("|".join(names), lambda found: names[found[0]], section)
    create, grant, revoke = re.findall(r"^```sql\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    drop = (
        f'drop database if exists "{name}" with (force);'
        f'drop role if exists "{service}"; drop role if exists "{owner}"'
    )
    run(dsn, drop + ";" + create)
    owners = make_dsn(dsn, dbname=name, user=owner, password="canary")
    run(owners, grant)
    list(migrations.migrate(owners))
    run(owners, revoke)
    yield make_dsn(dsn, dbname=name, user=service, password="canary")
    run(dsn, drop)


def test_the_service_works_with_the_rights_of_its_role(service_dsn: str) -> None:
    # Also trims, which deletes revisions.
    server = Server(DATABASE_URL=service_dsn, HISTORY_KEEP_REVISIONS="2").start()
    answers: list[httpx.Response] = []

    def ask(method: str, path: str, body: object = None, kind: str = "json") -> httpx.Response:
        content = None if body is None else json.dumps(body)
        answers.append(
            server.client.request(
                *(method, path),
                content=content,
                headers={"Content-Type": f"application/{kind}", "If-Match": "*"} if content else {},
            )
        )
        return answers[-1]

    created = ask("POST", "/api/v1/applications", {"name": "billing"})
    application, of = created.headers["location"], created.json()["id"]
    named = {"application_id": of, "name": "production", "config": {"a": 1}}
    path = ask("POST", "/api/v1/configurations", named).headers["location"]
    ask("PUT", application, {"name": "billing", "comments": "Invoices"})
    ask("PUT", path, {"name": "production", "config": {"a": 2}})
    ask("PATCH", path, {"config": {"a": 3}}, "merge-patch+json")
    ask("GET", f"{path}/diff?from=2&to=3")
    ask("GET", f"{path}/revisions/3")
    ask("POST", f"{path}/rollback", {"revision": 2})
    for read in (application, "/api/v1/applications", path, "/api/v1/configurations"):
        ask("GET", read)
    ask("GET", "/api/v1/config?application=billing&name=production&explain=true")
    ask("GET", f"{application}/changes")
    ask("GET", f"{path}/revisions")
    many = {"configurations": {"production": {"config": {"a": 4}}, "created": {}, "absent": None}}
    ask("PATCH", f"{application}/content?note=Both", many, "merge-patch+json")
    sequence = ask("GET", f"{application}/content").json()["sequence"]
    schema = {"application_id": of, "name": "schema", "config": {"type": "object"}}
    check = {"schema_id": ask("POST", "/api/v1/configurations", schema).json()["id"]}
    layers = {"layers": ["production"], "optional": ["production"]}
    where = ask("POST", "/api/v1/checks", {"application_id": of, **check, **layers}).headers
    for method, body in ("PUT", check | layers), ("GET", None), ("DELETE", None):
        ask(method, where["location"], body)
    ask("GET", "/api/v1/checks")
    ask("DELETE", f"/api/v1/configurations/{check['schema_id']}")
    ask("DELETE", path)
    ask("GET", f"{application}/content?at={sequence}")
    ask("POST", f"{application}/rollback", {"sequence": sequence})
    ask("DELETE", application)
    ask("GET", "/health/ready")
    operations = server.client.get("/openapi.json").json()["paths"]
    server.stop()
    assert {answer.status_code for answer in answers} <= {200, 201, 204}
    assert {route_of(answer, operations) for answer in answers} >= {*operations} - {"/health"}


def route_of(answer: httpx.Response, paths: dict[str, Any]) -> str:
    """The template in `paths` that a request's path fits."""
    asked = answer.request.url.path
    fitting = (path for path in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), asked))
    return next(fitting)


@pytest.mark.parametrize(
    "sql",
    [
        "truncate configurations cascade",
        "drop table configurations",
        "alter table configuration_revisions disable trigger user",
        "update configuration_revisions set actor = 'another'",
        "delete from migrations",
        "create table more ()",
        "create temporary table more ()",
    ],
)
def test_the_role_of_the_service_cannot_do_what_the_service_never_does(
    service_dsn: str, sql: str
) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        run(service_dsn, sql)


def test_what_a_later_migration_adds_is_granted_to_the_service(service_dsn: str) -> None:
    name = psycopg2.extensions.parse_dsn(service_dsn)["dbname"]
    run(make_dsn(service_dsn, user=f"{name}_owner"), "create table later (id text)")
    run(service_dsn, "insert into later values ('a'); select * from later; delete from later")


# Alert rules

RULES = re.findall(r"- alert: (\w+)", ALERTS.read_text())
# For each rule the series that make it fire at the end, in promtool's notation. A counter may have
# been there before, or show with its first count.
FIRING = {
    "ConfigServiceIsAway": {'up{job="config-service"}': "0x30"},
    "ConfigServiceRefuses": {
        'http_requests_total{status="503"}': "0+2x30",
        'http_requests_total{status="200"}': "0+98x30",
    },
    "ConfigServiceHasABug": {'http_requests_total{status="500"}': "1x28 2 2"},
    "ConfigServiceHasABug, its first": {'http_requests_total{status="500"}': "_x28 1 1"},
    "ConfigServiceFailsInTheBackground": {'background_failures_total{task="listen"}': "1x28 2 2"},
    "ConfigServiceFailsInTheBackground, its first": {
        'background_failures_total{task="listen"}': "_x28 1 1"
    },
    "ConfigServiceLacksConnections": {
        "database_pool_in_use": "4x30",
        "database_pool_size": "4x30",
    },
    "ConfigServiceIsSlow": {
        'http_request_duration_seconds_bucket{method="PUT",le="1.0"}': "0x30",
        'http_request_duration_seconds_bucket{method="PUT",le="2.5"}': "0+9x30",
        'http_request_duration_seconds_bucket{method="PUT",le="+Inf"}': "0+9x30",
    },
    "ConfigServiceDropsLogLines": {"log_lines_dropped_total": "0x28 1 1"},
}
# And what makes none of them fire, as long as it goes on.
QUIET = {
    'up{job="config-service"}': "1x30",
    'http_requests_total{status="200"}': "0+1000x30",
    'http_requests_total{status="503"}': "3x30",
    'http_requests_total{status="500"}': "1x30",
    'background_failures_total{task="listen"}': "1x30",
    "database_pool_in_use": "1x30",
    "database_pool_size": "4x30",
    'http_request_duration_seconds_bucket{method="GET",le="1.0"}': "0x30",
    'http_request_duration_seconds_bucket{method="GET",le="+Inf"}': "0+9x30",
    "log_lines_dropped_total": "1x30",
}


def test_every_rule_has_an_occasion_on_which_it_fires() -> None:
    assert set(RULES) == {name.partition(",")[0] for name in FIRING}


@pytest.mark.usefixtures("db")
def test_the_rules_ask_for_metrics_that_the_service_has(server: Server) -> None:
    scraped = server.client.get("/metrics").text
    known = set(re.findall(r"^# TYPE (\w+) ", scraped, re.MULTILINE))
    asked = set(re.findall(r"\b(?:http|database|background|log)_\w+", ALERTS.read_text()))
    assert asked
    assert {re.sub("_bucket$", "", name) for name in asked} <= known


def test_each_rule_fires_when_it_should_and_no_other_time(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("there is no promtool, which comes with Prometheus")
    cases = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [{"series": series, "values": text} for series, text in told.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{rule}",alertstate="firing"}})',
                    "eval_time": "30m",
                    "exp_samples": [{"labels": "{}", "value": 1}]
                    if rule == name.partition(",")[0]
                    else [],
                }
                for rule in RULES
            ],
        }
        for name, told in {**FIRING, "none": QUIET}.items()
    ]
    tests = tmp_path / "tests.json"  # JSON is YAML too
    tests.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": cases}))
    for command in (["check", "rules", str(ALERTS)], ["test", "rules", str(tests)]):
        done = subprocess.run([promtool, *command], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


# The unit and the image


def start_command() -> str:
    """The command line that the page starts the service with, behind the name of Python."""
    found = re.search(r"^\.venv/bin/python (-m uvicorn .*)$", PAGE, re.MULTILINE)
    assert found
    return found[1]


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if not verify:
        pytest.skip("there is no systemd-analyze")
    unit = tmp_path / UNIT.name
    # It says so where a folder or a program is not there.
    unit.write_text(UNIT.read_text().replace("/opt/config-service/svc", str(HERE)))
    done = subprocess.run([verify, "verify", unit], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_and_the_image_start_the_service_as_the_page_does() -> None:
    command = start_command()
    local = re.sub(r"--host \S+", "--host 127.0.0.1", command)  # behind a proxy on the same machine
    assert f"ExecStart=/opt/config-service/svc/.venv/bin/python {local}\n" in UNIT.read_text()
    said = CONTAINERFILE.read_text().partition("\nCMD ")[2]
    assert json.loads(said) == ["python", *command.split()]


def test_the_image_has_the_versions_of_the_project() -> None:
    said = CONTAINERFILE.read_text()
    assert f"FROM python:{(HERE / '.python-versions').read_text().strip()}-slim\n" in said
    [uv] = re.findall(r"^uv_version := (.+)$", (HERE.parent / "Makefile").read_text(), re.MULTILINE)
    assert f" uv=={uv}\n" in said


def test_the_image_has_every_file_that_the_service_needs(tmp_path: Path) -> None:
    for line in re.findall(r"^COPY (.+)$", CONTAINERFILE.read_text(), re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            path = HERE.parent / source
            if path.is_dir():
                shutil.copytree(path, tmp_path / target)
            else:
                shutil.copy(path, tmp_path / target)
    script = "import main, migrations; print(len(main.routers()), len(migrations.load()))"
    done = subprocess.run(
        # Nothing of this checkout: neither its folder nor PYTHONPATH.
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {script}"],
        cwd=tmp_path,
        # Nor what measures the coverage of this run.
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
        check=True,
        capture_output=True,
        text=True,
    )
    slices = len([*HERE.glob("features/*/*/handler.py")])
    assert done.stdout.split() == [str(slices), str(len(migrations.load()))]
