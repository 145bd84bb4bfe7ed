"""How `make` starts the service and makes its Python, where something stands in the way."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from conftest import HERE

MAKEFILE = HERE.parent / "Makefile"


def make(home: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs a target of the checkout at `home`, as if no `make` ran these tests."""
    inherited = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return subprocess.run(
        ["make", "--silent", "--no-print-directory", *arguments],
        cwd=home,
        env=inherited | environment,
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = make(MAKEFILE.parent, "--old-file=migrate", "run", f"PORT={port}")
    assert done.returncode != 0
    assert done.stderr.startswith(
        f"Port {port} cannot be used: Address already in use. To take another: make run PORT=8001\n"
    )
    assert "Traceback" not in done.stderr
    assert "Starting the server" not in done.stdout


def test_what_is_no_port_is_named_too() -> None:
    done = make(MAKEFILE.parent, "--old-file=migrate", "run", "PORT=80000")
    assert done.stderr.startswith("Port 80000 cannot be used: bind(): port must be 0-65535. To")


def test_the_port_is_the_one_that_was_asked_for() -> None:
    commands = make(MAKEFILE.parent, "--dry-run", "--old-file=migrate", "run", "PORT=8001").stdout
    assert "uvicorn main:app --reload --port '8001'" in commands


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make new-venv` needs, in a folder of its own."""
    if not shutil.which("uv"):
        pytest.skip("there is no uv on PATH")
    (tmp_path / "svc").mkdir()
    shutil.copy(MAKEFILE, tmp_path)
    shutil.copy(HERE / ".python-versions", tmp_path / "svc")
    return tmp_path


def test_why_python_could_not_be_downloaded_is_shown(checkout: Path) -> None:
    mirror = f"{checkout}/no-mirror"
    done = make(
        checkout,
        "new-venv",
        # No Python that is there already counts.
        UV_PYTHON_PREFERENCE="only-managed",
        UV_PYTHON_INSTALL_DIR=str(checkout / "pythons"),
        UV_PYTHON_INSTALL_MIRROR=f"file://{mirror}",
    )
    assert done.returncode != 0
    assert mirror in done.stderr
    assert "No Python 3.13: let uv reach its download site" in done.stderr
