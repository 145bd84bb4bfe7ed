"""The commands of `docs/development.md` make a slice that is served and tested."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from conftest import HERE

PAGE = (HERE / "docs" / "development.md").read_text()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of `svc` with the virtual environment of this one."""
    if not shutil.which("perl"):
        pytest.skip("there is no perl")
    copy = tmp_path / "svc"
    shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "htmlcov"))
    (copy / ".venv").symlink_to(HERE / ".venv")
    return copy


@pytest.fixture
def other_dsn(dsn: str) -> Iterator[str]:
    """A database whose tests' own is not the one that is in use here."""
    yield dsn
    with closing(psycopg2.connect(dsn)) as session, session.cursor() as cursor:
        session.autocommit = True
        cursor.execute(f'drop database if exists "{session.info.dbname}_test" with (force)')


def test_three_commands_make_a_slice_whose_tests_pass_and_which_is_served(
    checkout: Path, other_dsn: str
) -> None:
    section = PAGE.partition("\n## Add an operation\n")[2].partition("\n## ")[0]
    [commands] = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert len(commands.splitlines()) == 3
    served = "import main; print(*main.app.openapi()['paths'])"
    done = subprocess.run(
        ["sh", "-ec", f'{commands}\n.venv/bin/python -c "{served}"'],
        cwd=checkout,
        # Without what measures the coverage of this run: the copy is none of it.
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")}
        | {"DATABASE_URL": other_dsn},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    *tested, paths = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout
    assert re.match(r"\d+ passed in ", tested[-1]), done.stdout
    assert "/api/v1/summaries/{id}" in paths.split()
