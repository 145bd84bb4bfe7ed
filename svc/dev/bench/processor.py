"""The processor time that a measurement of `make bench` takes, where the machine has /proc."""

import os
from contextlib import suppress
from math import nan
from pathlib import Path

PROC = Path("/proc")


def used(server: int, database: str) -> tuple[float, float]:
    """The seconds of processor time that the children of the process `server`, and PostgreSQL's
    sessions in `database`, have taken so far; nan where none of them is seen.

    What PostgreSQL does in the background for all its databases is not in it.
    """
    workers, sessions = list[int](), list[int]()
    for folder in PROC.glob("[0-9]*"):
        # It may have ended by now.
        with suppress(FileNotFoundError, ProcessLookupError):
            # proc(5): behind the name, which is in parentheses, state and parent are the first two.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            title = (folder / "cmdline").read_bytes().decode(errors="replace").split()
            ticks = int(fields[11]) + int(fields[12])
            if int(fields[1]) == server:
                workers.append(ticks)
            elif title[:1] == ["postgres:"] and database in title:
                sessions.append(ticks)
    return _seconds(workers), _seconds(sessions)


def _seconds(ticks: list[int]) -> float:
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else nan
