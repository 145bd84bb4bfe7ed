"""The pipeline of `docs/pipelines.md` keeps what it exports, and applies nothing without a plan.

What its commands print, `test_docs` holds.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from psycopg2.extensions import connection

from conftest import Server
from test.test_docs import GIT, PIPELINES, saved

APPLICATIONS = "/api/v1/applications"
# What changes on its way through a tool that reads numbers as doubles.
DOCUMENT = '{"ledger": 12345678901234567890, "vat": 0.20, "small": -0.00000000000000000010}'
# What a careless tool breaks: an escape, a key that a shell expands, text beyond ASCII.
TEXTS = r'{"$HOME": "a\\n\"b\"\n", "città": "\u001f💶", "empty": [{}, [], null, ""]}'


@pytest.fixture
def content(server: Server, db: connection) -> str:
    """The path of the content of an application, which has three configurations."""
    application = server.client.post(APPLICATIONS, json={"name": "billing"}).json()["id"]
    path = f"{APPLICATIONS}/{application}/content"
    items = (
        f'"a": {{"config": {DOCUMENT}}}, "b": {{"config": {TEXTS}, "comments": "0.20"}}, "c": {{}}'
    )
    patch(server.client, path, items)
    return path


def patch(client: httpx.Client, path: str, items: str) -> None:
    """Changes the content."""
    kind = {"Content-Type": "application/merge-patch+json"}
    done = client.patch(path, content=f'{{"configurations": {{{items}}}}}', headers=kind)
    assert done.status_code == 200


@pytest.fixture
def pipeline(server: Server, content: str, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs the page's script in a folder with a commit: its status, and all that it prints."""
    missing = [name for name in ("sh", "curl", "git", "python3") if not shutil.which(name)]
    if missing:
        pytest.skip(f"the page needs {' and '.join(missing)}")
    for name, text in saved(PIPELINES).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "config.curl").touch()
    environment = os.environ | GIT | {"CURL_HOME": str(tmp_path), "no_proxy": "*"}

    def run(*arguments: str, port: int = server.port) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", "content.sh", *arguments],
            cwd=tmp_path,
            env=environment | {"CONTENT": f"http://127.0.0.1:{port}{content}"},
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "The first"]):
        subprocess.run(["git", *command], cwd=tmp_path, env=environment, check=True)
    return run


def test_the_pipeline_has_fifteen_lines() -> None:
    script = saved(PIPELINES)["content.sh"]
    assert len([line for line in script.splitlines() if not line.startswith("#")]) == 15


def test_an_export_keeps_every_digit_and_every_character(
    server: Server, content: str, pipeline: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    before = server.client.get(content)
    assert pipeline("export") == (0, "")
    exported = (tmp_path / "content.json").read_text()
    assert all(f": {number}" in exported for number in ("12345678901234567890", "0.20"))
    assert pipeline("plan") == (0, '{"sequence":3,"changes":[]}\n')
    patch(server.client, content, '"a": null, "b": null, "c": null')
    assert pipeline("plan")[0] == pipeline("apply")[0] == 0
    after = server.client.get(content).json()["configurations"]
    assert {name: item | {"revision": 1} for name, item in after.items()} == before.json()[
        "configurations"
    ]
    assert '"ledger": 12345678901234567890' in server.client.get(content).text


def test_a_service_that_is_away_leaves_the_export_as_it_was(
    pipeline: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    pipeline("export")
    before = (tmp_path / "content.json").read_text()
    status, said = pipeline("export", port=1)
    assert (status, "curl: (7)" in said) == (7, True)
    assert (tmp_path / "content.json").read_text() == before
    assert pipeline("plan", port=1) == (7, "\nfailed: 000, curl 7\n")


@pytest.mark.parametrize("kept", [None, "", "\n"])
def test_nothing_is_applied_without_a_plan(
    server: Server,
    content: str,
    pipeline: Callable[..., tuple[int, str]],
    tmp_path: Path,
    kept: str | None,
) -> None:
    pipeline("export")
    exported = tmp_path / "content.json"
    exported.write_text(exported.read_text().replace("0.20", "0.21"))
    if kept is not None:
        (tmp_path / "plan.tag").write_text(kept)
    status, said = pipeline("apply")
    assert (status, "failed: 428" in said) == (22, True)
    assert server.client.get(content).headers["etag"] == '"3"'


def test_a_plan_that_is_refused_is_none(
    server: Server, content: str, pipeline: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    pipeline("export")
    assert pipeline("plan", "1")[0] == 22
    patch(server.client, content, '"c": {"config": {"new": true}}')
    assert pipeline("apply")[0] != 0
    assert server.client.get(content).headers["etag"] == '"4"'
