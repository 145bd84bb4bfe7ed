import os
from math import isnan
from pathlib import Path

import pytest

from dev.bench import processor

SECOND = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """In the place of /proc."""
    monkeypatch.setattr(processor, "PROC", tmp_path)
    return tmp_path


def process(proc: Path, number: int, parent: int, title: str, user: int, system: int) -> None:
    """What /proc has of a process that used so many seconds."""
    folder = proc / str(number)
    folder.mkdir()
    before = f"S {parent} 1 1 0 -1 4194304 100 0 0 0"
    times = f"{user * SECOND} {system * SECOND} 70000 70000 20 0 1 0"
    (folder / "stat").write_text(f"{number} (a (b) c) {before} {times}\n")
    (folder / "cmdline").write_bytes(title.encode() + b"\0")


def test_the_workers_of_a_server_and_the_sessions_of_a_database_are_added_up(proc: Path) -> None:
    process(proc, 10, 1, "uvicorn", 50, 50)
    process(proc, 11, 10, "python", 2, 1)
    process(proc, 12, 10, "python", 4, 0)
    process(proc, 13, 1, "postgres: user mine 127.0.0.1(4711) idle", 1, 1)
    process(proc, 14, 1, "postgres: 16/main: user mine [local] UPDATE", 0, 5)
    process(proc, 15, 1, "postgres: user mine_too 127.0.0.1(4712) idle", 60, 0)
    process(proc, 16, 1, "psql mine", 60, 0)
    (proc / "17").mkdir()  # it ended meanwhile
    (proc / "meminfo").touch()
    assert processor.used(10, "mine") == (7, 7)


def test_what_is_not_to_be_seen_is_not_a_number(proc: Path) -> None:
    assert all(map(isnan, processor.used(10, "mine")))
    process(proc, 11, 10, "python", 0, 0)
    server, postgres = processor.used(10, "mine")
    assert server == 0
    assert isnan(postgres)


@pytest.mark.skipif(not processor.PROC.is_dir(), reason="this machine has no /proc")
def test_a_process_of_this_machine_is_found_by_its_parent() -> None:
    own = os.times()
    server, _ = processor.used(os.getppid(), "none")
    assert server >= own.user + own.system - 2 / SECOND
