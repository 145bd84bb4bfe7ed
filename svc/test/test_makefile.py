"""What the Makefile hands on."""

import subprocess
from pathlib import Path

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
