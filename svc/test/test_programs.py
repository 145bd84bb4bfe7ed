"""The programs and commands of `docs/programs.md` do what the page says.

Over TLS and with a token, and also where answers are cut off, the service is away, or what they
read is gone."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import threading
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from psycopg2.extensions import connection

from conftest import HERE, Server, eventually

PAGE = (HERE / "docs" / "programs.md").read_text()
APPLICATIONS, CONFIGURATIONS = "/api/v1/applications", "/api/v1/configurations"
DOCUMENT = "/api/v1/config?application=billing&name=production"
TOKEN = "a token of thirty-two characters"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
# What changes on its way through a tool that reads numbers as doubles.
NUMBERS = '{"ledger": 12345678901234567890, "vat": 0.20}'


def blocks(heading: str) -> list[str]:
    """The code blocks below a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```\w+\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


class Proxy:
    """TLS before the service. Until `to_cut` answers were `cut`, each ends within its body."""

    def __init__(self, upstream: int, certificate: Path, key: Path) -> None:
        self.requests, self.cut, self.to_cut = 0, 0, 0
        self._upstream = upstream
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate, key)
        self._tasks = set[asyncio.Future[None]]()
        self._loop = asyncio.new_event_loop()
        self._listens, self._is_done = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()])
        self._thread.start()
        self._listens.wait()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listens.set()
        await self._is_done.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.ensure_future(self._pass_on(client, to_client)))

    async def _pass_on(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            service, to_service = await asyncio.open_connection("127.0.0.1", self._upstream)
            with closing(to_service):
                while True:
                    request = await client.readuntil(b"\r\n\r\n")
                    self.requests += 1
                    to_service.write(request + await client.readexactly(length(request)))
                    head = await service.readuntil(b"\r\n\r\n")
                    body = await service.readexactly(length(head))
                    if body and self.cut < self.to_cut:
                        self.cut += 1
                        to_client.write(head + body[: len(body) // 2])
                        await to_client.drain()
                        break
                    to_client.write(head + body)
        except (OSError, asyncio.IncompleteReadError):
            pass  # one of the two has gone, and so the other is let go
        finally:
            to_client.close()

    def close(self) -> None:
        """Ends it, and the connections through it."""
        self._loop.call_soon_threadsafe(self._is_done.set)
        self._thread.join()
        self._loop.close()


def length(head: bytes) -> int:
    """How many bytes follow the header."""
    found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that no system trusts, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def service(dsn: str) -> Iterator[Server]:
    """The service, closed to those without the token."""
    hashed = hashlib.sha256(TOKEN.encode()).hexdigest()
    server = Server(DATABASE_URL=dsn, API_TOKENS=f"ci:write:{hashed}").start()
    yield server
    server.stop()


@pytest.fixture
def client(service: Server, db: connection) -> httpx.Client:
    """A client with the token, over empty tables."""
    service.client.headers.update(AUTHORIZED)
    return service.client


@pytest.fixture
def proxy(service: Server, certificate: tuple[Path, Path]) -> Iterator[Proxy]:
    """The way to the service that the programs take."""
    opened = Proxy(service.port, *certificate)
    yield opened
    opened.close()


def create(client: httpx.Client, config: str) -> str:
    """Makes billing's production with that document; the path of the configuration."""
    application = client.post(APPLICATIONS, json={"name": "billing"}).json()["id"]
    body = f'{{"application_id": "{application}", "name": "production", "config": {config}}}'
    made = client.post(CONFIGURATIONS, content=body, headers={"Content-Type": "application/json"})
    assert made.status_code == 201
    path: str = made.headers["location"]
    return path


def patch(client: httpx.Client, path: str, config: dict[str, Any]) -> None:
    """Changes the document."""
    kind = {"Content-Type": "application/merge-patch+json"}
    changed = client.patch(path, content=json.dumps({"config": config}), headers=kind)
    assert changed.status_code == 200


def document_at(proxy: Proxy) -> str:
    """Where programs read billing's production."""
    return f"{proxy.address}{DOCUMENT}"


# Read at the start


@pytest.fixture
def read_config(certificate: tuple[Path, Path]) -> Callable[..., Any]:
    """The page's `read_config`, which does not pause."""
    page: dict[str, Any] = {}
    exec(blocks("Read at the start, in Python")[0], page)  # noqa: S102 - the page's own
    page["time"] = SimpleNamespace(sleep=lambda _: None)

    def read(url: str, token: str = TOKEN, ca: Path | None = certificate[0]) -> Any:
        return page["read_config"](url, token, ca)

    return read


def test_python_reads_the_document_also_after_one_was_cut_off(
    client: httpx.Client, proxy: Proxy, read_config: Callable[..., Any]
) -> None:
    create(client, NUMBERS)
    proxy.to_cut = 2
    assert read_config(document_at(proxy)) == json.loads(NUMBERS)
    assert proxy.cut == 2


def test_python_gives_up_at_once_where_asking_again_does_not_help(
    client: httpx.Client, proxy: Proxy, read_config: Callable[..., Any]
) -> None:
    create(client, "{}")
    for path, token, status in (
        (document_at(proxy), "another", 401),
        (document_at(proxy) + "&name=staging", TOKEN, 404),
    ):
        before = proxy.requests
        with pytest.raises(urllib.error.HTTPError) as refused:
            read_config(path, token)
        refused.value.close()
        assert (refused.value.code, proxy.requests - before) == (status, 1)


def test_python_does_not_talk_to_a_service_that_its_ca_does_not_know(
    proxy: Proxy, read_config: Callable[..., Any]
) -> None:
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        read_config(document_at(proxy), ca=None)
    assert proxy.requests == 0


@pytest.fixture
def javascript(certificate: tuple[Path, Path]) -> Callable[..., str]:
    """Runs the page's `readConfig` with the shortest pauses, and prints what comes of it."""
    node = shutil.which("node")
    told = subprocess.run([node, "--version"], check=True, capture_output=True) if node else None
    if not told or int(told.stdout.decode().lstrip("v").split(".")[0]) < 20:
        pytest.skip("there is no Node 20 or newer")
    [program] = blocks("Read at the start, in JavaScript")
    program += (
        "Math.random = () => 0;\n"
        "readConfig(...process.argv.slice(1)).then((read) => console.log(JSON.stringify(read)),"
        " (error) => console.log(error.message));"
    )

    def run(url: str, token: str = TOKEN) -> str:
        return subprocess.run(
            [str(node), "-e", program, url, token],
            env=os.environ | {"NODE_EXTRA_CA_CERTS": str(certificate[0])},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    return run


def test_javascript_reads_the_document_also_after_one_was_cut_off(
    client: httpx.Client, proxy: Proxy, javascript: Callable[..., str]
) -> None:
    create(client, '{"currency": "EUR"}')
    proxy.to_cut = 1
    assert javascript(document_at(proxy)) == '{"currency":"EUR"}\n'
    assert proxy.cut == 1


def test_javascript_gives_up_at_once_where_asking_again_does_not_help(
    client: httpx.Client, proxy: Proxy, javascript: Callable[..., str]
) -> None:
    create(client, "{}")
    assert javascript(document_at(proxy), "another").startswith("401 {")
    assert proxy.requests == 1


# Keep a file up to date


class Watcher:
    """The page's watcher in `home`, with pauses that are told and not waited for."""

    def __init__(self, home: Path, url: str, certificate: Path) -> None:
        self._certificate = certificate
        self.file, self.hooks, self.pauses, self._log = (
            home / name for name in ("billing.json", "hooks", "pauses", "log")
        )
        for written in (self.hooks, self.pauses, self._log):
            written.touch()
        self.give(TOKEN)
        script, sleep, hook = home / "watch.sh", home / "sleep", home / "hook"
        script.write_text(blocks("Keep a file up to date")[0])
        sleep.write_text(f'#!/bin/sh\necho "$1" >> {self.pauses}\nexec /bin/sleep 0.05\n')
        hook.write_text(f'#!/bin/sh\necho "$(cat {self.file})" >> {self.hooks}\n')
        self._command = ["sh", str(script), url, str(self.file), str(hook)]
        for program in (sleep, hook):
            program.chmod(0o755)
        self._environment = os.environ | {
            "PATH": f"{home}:{os.environ['PATH']}",
            "CURL_HOME": str(home),
            "CURL_CONFIG": str(home / "config.curl"),
            "no_proxy": "*",
        }
        self.start()

    def give(self, token: str) -> None:
        """Writes the token where curl looks for it."""
        config = f'oauth2-bearer = "{token}"\ncacert = "{self._certificate}"\n'
        (self.file.with_name("config.curl")).write_text(config)

    def start(self) -> None:
        """Starts it."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        """Ends it and its curl."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def document(self) -> Any:
        """What the file holds; None before there is one."""
        return json.loads(self.file.read_text()) if self.file.exists() else None

    @property
    def seen(self) -> list[Any]:
        """The documents that the command found in the file, in their order."""
        return [json.loads(line) for line in self.hooks.read_text().splitlines()]

    @property
    def tag(self) -> str:
        """The entity tag that it keeps, or nothing."""
        kept = self.file.with_name("billing.json.tag")
        return kept.read_text().strip() if kept.exists() else ""

    @property
    def said(self) -> str:
        """All that it said on standard error."""
        return self._log.read_text()


@pytest.fixture
def watch(
    tmp_path: Path, proxy: Proxy, certificate: tuple[Path, Path]
) -> Iterator[Callable[[], Watcher]]:
    """Starts the watcher."""
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    started: list[Watcher] = []

    def start() -> Watcher:
        started.append(Watcher(tmp_path, document_at(proxy), certificate[0]))
        return started[0]

    yield start
    for one in started:
        one.stop()


EUR, CHF, USD = {"currency": "EUR"}, {"currency": "CHF"}, {"currency": "USD"}


def test_the_watcher_keeps_nothing_of_an_answer_that_was_cut_off(
    client: httpx.Client, proxy: Proxy, watch: Callable[[], Watcher]
) -> None:
    path = create(client, json.dumps(EUR))
    proxy.to_cut = 1_000_000
    watcher = watch()
    eventually(lambda: proxy.cut >= 2)
    assert (watcher.document, watcher.seen) == (None, [])
    proxy.to_cut = 0
    eventually(lambda: watcher.seen == [EUR])
    tag = client.get(DOCUMENT).headers["etag"]
    eventually(lambda: watcher.tag == tag)
    proxy.to_cut, already = 1_000_000, proxy.cut
    patch(client, path, CHF)
    eventually(lambda: proxy.cut >= already + 2)
    assert (watcher.document, watcher.tag, watcher.seen) == (EUR, tag, [EUR])
    assert "curl failed" in watcher.said
    proxy.to_cut = 0
    eventually(lambda: watcher.seen == [EUR, CHF])
    assert watcher.document == CHF


def test_a_restart_of_the_service_or_the_watcher_is_no_change_to_the_watcher(
    client: httpx.Client, service: Server, proxy: Proxy, watch: Callable[[], Watcher]
) -> None:
    path = create(client, json.dumps(EUR))
    watcher = watch()
    eventually(lambda: watcher.seen == [EUR])
    service.process.terminate()
    service.process.wait(30)
    eventually(lambda: watcher.said.count("curl failed") >= 2)
    assert watcher.document == EUR
    service.start()
    patch(client, path, CHF)
    eventually(lambda: watcher.seen == [EUR, CHF])
    current = client.get(DOCUMENT).headers["etag"]
    eventually(lambda: watcher.tag == current)
    watcher.stop()
    asked = proxy.requests
    watcher.start()
    eventually(lambda: proxy.requests > asked)
    patch(client, path, USD)
    eventually(lambda: watcher.seen == [EUR, CHF, USD])


def test_the_watcher_says_that_the_application_is_gone_and_finds_the_next_of_that_name(
    client: httpx.Client, watch: Callable[[], Watcher]
) -> None:
    application = client.get(create(client, json.dumps(EUR))).json()["application_id"]
    watcher = watch()
    eventually(lambda: watcher.seen == [EUR])
    client.delete(f"{APPLICATIONS}/{application}")
    eventually(lambda: watcher.said.count("There is no application “billing”.") >= 2)
    assert watcher.document == EUR
    create(client, json.dumps(CHF))
    eventually(lambda: watcher.seen == [EUR, CHF])


def test_the_watcher_says_that_its_token_is_wrong_and_takes_another(
    client: httpx.Client, watch: Callable[[], Watcher]
) -> None:
    create(client, json.dumps(EUR))
    watcher = watch()
    eventually(lambda: watcher.seen == [EUR])
    watcher.stop()
    watcher.file.unlink()
    watcher.give("another")
    watcher.start()
    eventually(lambda: watcher.said.count('"status":401') >= 2)
    assert watcher.document is None
    watcher.give(TOKEN)
    eventually(lambda: watcher.seen == [EUR, EUR])


def test_a_command_that_fails_is_run_again(
    client: httpx.Client, watch: Callable[[], Watcher], tmp_path: Path
) -> None:
    create(client, json.dumps(EUR))
    watcher = watch()
    eventually(lambda: watcher.seen == [EUR])
    watcher.stop()
    hook = tmp_path / "hook"
    works = hook.read_text()
    hook.write_text("#!/bin/sh\nexit 1\n")
    watcher.file.unlink()
    watcher.start()
    eventually(lambda: watcher.said.count("failed: ") >= 2)
    replaced = hook.with_name("replaced")
    replaced.write_text(works)
    replaced.chmod(0o755)
    replaced.rename(hook)
    eventually(lambda: watcher.seen == [EUR, EUR])


def test_the_watcher_pauses_for_five_to_fourteen_seconds_at_random(
    client: httpx.Client, watch: Callable[[], Watcher]
) -> None:
    watcher = watch()
    eventually(lambda: watcher.pauses.read_text().count("\n") >= 20)
    pauses = [int(line) for line in watcher.pauses.read_text().splitlines()]
    assert set(pauses) <= set(range(5, 15))
    assert len(set(pauses)) >= 4


# Edit in an editor


@pytest.fixture
def shell(
    tmp_path: Path, proxy: Proxy, certificate: tuple[Path, Path]
) -> Callable[[list[str], str, str], str]:
    """Runs commands of the page for a configuration, with a sed script for the editor."""
    missing = [name for name in ("curl", "python3", "diff3") if not shutil.which(name)]
    if missing:
        pytest.skip(f"the page needs {' and '.join(missing)}")
    config = f'oauth2-bearer = "{TOKEN}"\ncacert = "{certificate[0]}"\n'
    (tmp_path / "config.curl").write_text(config)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed "$EDIT" "$1" > edited && mv edited "$1"\n')
    editor.chmod(0o755)

    def run(commands: list[str], path: str, edit: str) -> str:
        environment = os.environ | {
            "EDITOR": str(editor),
            "EDIT": edit,
            "CURL_HOME": str(tmp_path),
            "API": f"{proxy.address}/api/v1",
            "CFG": path.rpartition("/")[2],
            "no_proxy": "*",
        }
        return subprocess.run(
            ["sh", "-c", "\n".join(commands)],
            cwd=tmp_path,
            env=environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ).stdout

    return run


def test_an_edit_keeps_every_digit(
    client: httpx.Client, shell: Callable[[list[str], str, str], str]
) -> None:
    path = create(client, NUMBERS)
    read, send, _ = blocks("Edit in an editor")
    assert shell([read, send], path, "s/0.20/0.210/").endswith("\n200\n")
    assert '{"vat": 0.210, "ledger": 12345678901234567890}' in client.get(path).text


def test_an_edit_on_top_of_anothers_is_refused_and_merged_with_it(
    client: httpx.Client, shell: Callable[[list[str], str, str], str]
) -> None:
    path = create(client, '{"currency": "EUR", "page_size": 50, "vat": {"de": 0.19, "fr": 0.20}}')
    read, send, merge = blocks("Edit in an editor")
    functions = read.partition("\nURL=")[0] + f"\nURL=$API/configurations/{path.rpartition('/')[2]}"
    shell([read], path, "")
    patch(client, path, {"page_size": 20})
    assert shell([functions, send], path, "s/0.20/0.21/").endswith("\n412\n")
    shell([functions, merge], path, "")
    assert shell([functions, send], path, "").endswith("\n200\n")
    merged = '{"vat": {"de": 0.19, "fr": 0.21}, "currency": "EUR", "page_size": 20}'
    assert merged in client.get(path).text


def test_an_edit_without_an_entity_tag_is_not_sent(
    client: httpx.Client, shell: Callable[[list[str], str, str], str]
) -> None:
    path = create(client, "{}")
    read, send, _ = blocks("Edit in an editor")
    shell([read, ": > tag", send], path, "s/production/other/")
    assert client.get(path).json()["name"] == "production"
