"""What the Makefile hands on."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(*arguments: str) -> str:
    """What a target prints; what it needs is installed already."""
    command = ["make", "--silent", "--no-print-directory", "--old-file=install", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_neither_make_nor_the_shell_expands_the_values_of_a_token(tmp_path: Path) -> None:
    touch = f"touch {tmp_path}/executed"
    name = f"a\"b$c 'd' \\ $$e `{touch}` $({touch}) $(shell {touch})"
    told = make("token", "NAME=ci", "SCOPE=read", f"APPLICATION={name}")
    assert told.splitlines()[-1].endswith(f":{name}")
    assert list(tmp_path.iterdir()) == []
    assert make("token", "NAME=ci", "SCOPE=read").splitlines()[-1].count(":") == 3


def test_all_integration_tests_are_run_by_their_target() -> None:
    recipe = make("--dry-run", "--old-file=migrate", "test-integration")
    [command] = [line for line in recipe.splitlines() if "pytest" in line]
    assert command.split()[-2:] == ["test_integration.py", "test"]


@pytest.mark.parametrize(
    ("failing", "status"),
    [("nothing", 0), ("-m beside", 2), ("-m not beside", 2), ("coverage report", 2)],
)
def test_all_tests_are_run_and_shown_by_make_test_which_fails_where_any_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, status: int
) -> None:
    (tmp_path / "svc").mkdir()
    for name in ("Makefile", "svc/.python-versions"):
        shutil.copy(ROOT / name, tmp_path / name)
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@"\ncase "$*" in *"{failing}"*) exit 1; esac\n')
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("MAKEFLAGS", raising=False)  # those of the make that runs this test
    command = ["make", "--silent", "--old-file=migrate", "test"]
    ended = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert ended.returncode == status
    for part in (
        "-m beside and not fuzz and not clients",
        "-m not beside and not fuzz and not clients",
    ):
        assert sum(line.endswith(part) for line in ended.stdout.splitlines()) == 1
