"""The documentation is true: its tours are run, and what it names exists."""

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path

import pytest

from config import Settings
from conftest import HERE, Server
from postgres.connections import connecting

ROOT = HERE.parent
README = ROOT / "README.md"
TOUR, PIPELINES, INCIDENT, CHECKS, PROGRAMS, OPERATIONS, DEVELOPMENT = (
    HERE / "docs" / f"{name}.md"
    for name in (
        *("tour", "pipelines", "incident", "checks", "programs", "operations", "development"),
    )
)
PAGES = [README, TOUR, PIPELINES, INCIDENT, CHECKS, PROGRAMS, OPERATIONS, DEVELOPMENT]

# The folders of svc. What begins with one of them, or with svc itself, is a path.
ROOMS = ["features", "wire", "postgres", "edge", "dev", "test", "docs", "migrations"]
# What is not in a fresh checkout: `make` and the reader make it.
MADE_LATER = {"svc/.env", "svc/.venv", "features/applications/summarise"}

# Who commits, and none of the user's settings.
PERSON = {"NAME": "Ann", "EMAIL": "ann@config.example"}
GIT = {f"GIT_{who}_{key}": PERSON[key] for who in ("AUTHOR", "COMMITTER") for key in PERSON}
GIT |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

type Block = tuple[str, str]


# The tours


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, as language and text; of the README those of its tour."""
    text = page.read_text()
    if page == README:
        text = text.partition("\n## A first tour\n")[2].partition("\n## ")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def saved(page: Path) -> dict[str, str]:
    """The files that the reader of a page saves, by their names."""
    found = re.findall(
        r"Save\s+this\s+as\s+`([^`]+)`:\n\n```\w+\n(.*?)^```$",
        page.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    return dict(found)


def script(tour: list[Block]) -> Iterator[str]:
    """The tour for bash, which prints what the page shows of the reader's two terminals.

    `console` is one of them: its lines with `$ ` are commands, the others their output. `sh` is
    typed into the other, which goes on beside the first, and `text` is all that stands there.
    """
    for language, text in tour:
        if language == "console":
            for line in text.splitlines():
                if line.startswith("$ "):
                    yield f"printf '%s\\n' {shlex.quote(line)}"
                    yield line.removeprefix("$ ")
        elif language == "sh":
            yield f": > other\n(\n{text}) >> other 2>&1 &"
            yield lines_of_the_other(1)
        elif language == "text":
            yield lines_of_the_other(text.count("\n"))
            yield "cat other"
    # The other terminal may wait for ever: this ends the process group, bash included.
    yield "kill 0"


def lines_of_the_other(number: int) -> str:
    """Waits until the other terminal shows so many lines, at most 20 seconds."""
    return (
        "for _ in {1..400}; do"
        f" if [ $(wc -l < other) -ge {number} ]; then break; fi; sleep 0.05; done"
    )


def shown(tour: list[Block]) -> str:
    """What the page says that the terminals show."""
    return "".join(text for language, text in tour if language in {"console", "text"})


def comparable(output: str) -> list[str]:
    """The lines as they are for every reader: without times and commits, and for each id and each
    sequence the number of its first appearance."""
    numbers: dict[str, int] = {}

    def numbered(match: re.Match[str]) -> str:
        return f"<{numbers.setdefault(match[0], len(numbers) + 1)}>"

    output = re.sub(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b", numbered, output)
    output = re.sub(r'(?<="sequence":)\d+|(?<="next":)\d+', numbered, output)
    output = re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", "<time>", output)
    output = re.sub(r"\bcommit [0-9a-f]{7,40}\b", "commit <hash>", output)
    return output.splitlines()


@pytest.fixture
def bash(tmp_path: Path) -> Callable[[str], str]:
    """Runs a script in an empty folder, and returns all that it prints."""
    missing = [name for name in ("bash", "curl", "git", "jq") if not shutil.which(name)]
    if missing:
        pytest.skip(f"the tours need {' and '.join(missing)}")
    # No settings of the user's curl, and no proxy; what the tour leaves behind is removed.
    folder = str(tmp_path)
    environment = os.environ | {"CURL_HOME": folder, "no_proxy": "*", "TMPDIR": folder} | GIT

    def run(script: str) -> str:
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=120)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return printed

    return run


TOURS = [README, TOUR, PIPELINES, INCIDENT, CHECKS]


@pytest.mark.parametrize("page", TOURS, ids=lambda page: page.name)
@pytest.mark.usefixtures("db")
def test_each_command_of_a_tour_prints_what_the_page_shows(
    server: Server, bash: Callable[[str], str], page: Path, tmp_path: Path
) -> None:
    files = saved(page)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    tour = [block for block in blocks(page) if block[1] not in files.values()]
    assert {language for language, _ in tour} <= {"console", "sh", "text"}
    address = f"http://127.0.0.1:{server.port}"
    printed = bash("\n".join(script(tour)).replace("http://localhost:8000", address))
    expected = comparable(shown(tour).replace("http://localhost:8000", address))
    changes = list(unified_diff(expected, comparable(printed), page.name, "printed", lineterm=""))
    assert not changes, "\n".join(changes)


def test_ids_times_sequences_and_commits_may_differ_and_nothing_else() -> None:
    first, second = "01M84710299DBMXH4AGAC00PYX", "01M8471039YSF7FBN36NSHAMN4"
    line = '"%s","%s","at":"%s","sequence":%d,"next":%d,"note":"commit 1a2b3c4"'
    time = "2026-11-23T12:45:20.362143Z"
    page = comparable(line % (first, second, time, 1, 2))
    assert comparable(line % (second, first, "2027-01-01T00:00:00Z", 7, 9)) == page
    assert comparable(line.replace("1a2b3c4", "55d3b07") % (first, second, time, 1, 2)) == page
    assert comparable(line.replace("commit ", "") % (first, second, time, 1, 2)) != page
    assert comparable(line % (first, first, time, 1, 2)) != page
    assert comparable(line % (first, second, time, 1, 1)) != page
    assert comparable(line % (first, second, time.replace("Z", "+00:00"), 1, 2)) != page


# What the pages name


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def code() -> Iterator[Path]:
    """The Python files of svc, without those of its virtual environment."""
    yield from HERE.glob("*.py")
    for room in ROOMS:
        yield from (HERE / room).rglob("*.py")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    paths = re.findall(rf"(?<![\w/.\-])((?:svc|{'|'.join(ROOMS)})/[\w./-]*\w)", text)
    missing = {one for one in paths if not any((home / one).exists() for home in (ROOT, HERE))}
    assert missing <= MADE_LATER
    modules = set(re.findall(r"(?<![\w/*.\-])(\w+\.py)\b", text))
    assert modules <= {path.name for path in code()} | saved(page).keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    assert named
    assert set(named) <= targets


def test_the_readme_is_read_in_ten_minutes() -> None:
    assert len(README.read_text().splitlines()) <= 200


@pytest.mark.usefixtures("db")
def test_the_metrics_of_the_page_are_those_of_the_service(server: Server) -> None:
    scraped = server.client.get("/metrics").text
    table = OPERATIONS.read_text().partition("| metric | type |")[2].partition("\n\n")[0]
    written = re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE)
    assert sorted(written) == sorted(re.findall(r"^# TYPE (\w+) (\w+)$", scraped, re.MULTILINE))


def test_behind_pgbouncer_the_role_carries_all_that_the_service_would_send() -> None:
    connect = connecting(Settings.model_construct(), "", "", statement=0.9, lock=0.9)
    sent = re.findall(r"-c ([\w.]+)=", connect.keywords["options"])
    carried = re.findall(r"^alter role config_service set ([\w.]+) =", OPERATIONS.read_text(), re.M)
    assert sorted(carried) == sorted(sent)
