"""Client generators take the OpenAPI document, and each client gets through the same story: create,
replace with If-Match, a 412, a 304, a merge patch, a problem, two pages, `/config`, and two
configurations changed as one after a dry run.

The stories lie in `test/clients`. A tool that is not there is named by the tests that it skips.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from conftest import HERE

REDOCLY, SPECTRAL = "@redocly/cli@2.77.0", "@stoplight/spectral-cli@6.16.3"
VALIDATOR, PYTHON_CLIENT = "openapi-spec-validator@0.9.0", "openapi-python-client@0.29.1"
GENERATOR = "openapi-generator-cli@7.26.0"
# The last versions that run on this Node.
NODE = 20
PACKAGES = {
    "@hey-api/openapi-ts": "0.95.0",
    "@types/node": "20.19.9",
    "openapi-fetch": "0.17.0",
    "openapi-typescript": "7.13.0",
    "typescript": "5.9.3",
}
TYPESCRIPT = {
    "compilerOptions": {
        **{"strict": True, "noUncheckedIndexedAccess": True, "skipLibCheck": True},
        **{"target": "es2022", "module": "nodenext", "types": ["node"], "outDir": "out"},
    },
    "files": ["story.ts"],
}
# openapi-generator says this of every document of OpenAPI 3.1, even of the smallest.
OF_EVERY_DOCUMENT = ["OpenAPI 3.1 support is still in beta", "Failed to get the schema name: null"]

GENERATED = """
package javax.annotation;

public @interface Generated {
  String value();
  String date();
  String comments();
}
"""

pytestmark = pytest.mark.clients


class Workshop:
    """A folder with the OpenAPI document of a running service, and the tools to work in it."""

    def __init__(self, folder: Path, api: httpx.Client) -> None:
        self.folder, self.url = folder, str(api.base_url)
        (folder / "openapi.json").write_text(api.get("/openapi.json").text)

    def run(self, *command: str, cwd: str = ".", **environment: str) -> str:
        """Runs a command: what it prints. Skips the test where there is no such command, and fails
        it where the command fails."""
        if shutil.which(command[0]) is None:
            pytest.skip(f"there is no {command[0]} on this machine")
        done = subprocess.run(
            command,
            cwd=self.folder / cwd,
            env=os.environ | {"UV_PYTHON": sys.executable} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout

    def node(self) -> None:
        """Skips the test unless there is a Node that is new enough."""
        version = self.run("node", "--version").strip()
        if int(version.removeprefix("v").partition(".")[0]) < NODE:
            pytest.skip(f"Node {version} is older than {NODE}")

    def copy(self, story: str, to: str) -> None:
        """Brings a story into the folder."""
        shutil.copy(HERE / "test/clients" / story, self.folder / to)

    def generate(self, language: str, *options: str) -> None:
        """Makes `client` by openapi-generator, which must not warn."""
        self.run("java", "-version")
        command = ["uvx", "-q", GENERATOR, "generate", "-g", language, *options]
        told = self.run(*command, "-i", "openapi.json", "-o", "client").splitlines()
        warnings = [line for line in told if "WARN" in line or "ERROR" in line]
        known = [line for line in warnings if any(one in line for one in OF_EVERY_DOCUMENT)]
        assert warnings == known

    def tell(self, *needed: str, **environment: str) -> None:
        """Compiles `client`, and runs `story.py`, with the packages that it needs."""
        python = ["uv", "run", "-q", "--no-project", *needed, "python", "-W", "error"]
        self.run(*python, "-m", "compileall", "-q", "client")
        self.run(*python, "story.py", self.url, **environment)


@pytest.fixture
def workshop(tmp_path: Path, api: httpx.Client) -> Workshop:
    """The folder of one test."""
    return Workshop(tmp_path, api)


@pytest.fixture
def typescript(workshop: Workshop) -> Workshop:
    """The same, with the packages for TypeScript."""
    workshop.node()
    package = {"type": "module", "private": True, "dependencies": PACKAGES}
    (workshop.folder / "package.json").write_text(json.dumps(package))
    (workshop.folder / "tsconfig.json").write_text(json.dumps(TYPESCRIPT))
    workshop.run("npm", "install", "--silent", "--no-audit", "--no-fund")
    return workshop


def test_redocly_finds_nothing(workshop: Workshop) -> None:
    workshop.node()
    command = ["npx", "--yes", REDOCLY, "lint", "--extends", "recommended", "--format", "json"]
    found = workshop.run(*command, "openapi.json")
    assert '"errors": 0' in found
    assert '"warnings": 0' in found


def test_spectral_finds_nothing(workshop: Workshop) -> None:
    workshop.node()
    (workshop.folder / ".spectral.yaml").write_text('extends: ["spectral:oas"]')
    command = ["npx", "--yes", "-p", SPECTRAL, "spectral", "lint", "--fail-severity", "hint"]
    workshop.run(*command, "openapi.json")


def test_the_document_is_as_the_specification_says(workshop: Workshop) -> None:
    workshop.run("uvx", "-q", VALIDATOR, "openapi.json")


def test_openapi_python_client(workshop: Workshop) -> None:
    command = ["uvx", "-q", PYTHON_CLIENT, "generate", "--fail-on-warning", "--meta", "none"]
    workshop.run(*command, "--path", "openapi.json", "--output-path", "client")
    workshop.copy("openapi_python_client.py", "story.py")
    workshop.tell("--with", "httpx==0.28.1", "--with", "attrs==26.1.0")


def test_openapi_generator_for_python(workshop: Workshop) -> None:
    # The parameter `from` is a word of Python.
    workshop.generate("python", "--model-name-mappings", "from=source")
    workshop.copy("openapi_generator.py", "story.py")
    workshop.tell("--with-requirements", "client/requirements.txt", PYTHONPATH="client")


def test_openapi_fetch(typescript: Workshop) -> None:
    typescript.run("npx", "openapi-typescript", "openapi.json", "--output", "schema.d.ts")
    typescript.copy("openapi_fetch.ts", "story.ts")
    typescript.run("npx", "tsc")
    typescript.run("node", "out/story.js", typescript.url)


def test_hey_api(typescript: Workshop) -> None:
    typescript.run("npx", "openapi-ts", "--input", "openapi.json", "--output", "client")
    typescript.copy("hey_api.ts", "story.ts")
    typescript.run("npx", "tsc")
    typescript.run("node", "out/story.js", typescript.url)


def test_openapi_generator_for_java(workshop: Workshop) -> None:
    workshop.generate("java", "--library", "native", "-p", "openApiNullable=false")
    workshop.copy("Story.java", "client/src/main/java/Story.java")
    # All that the client needs is in the generator itself, without Maven; only an annotation that
    # does nothing is missing there.
    annotation = workshop.folder / "client/src/main/java/javax/annotation/Generated.java"
    annotation.parent.mkdir(parents=True)
    annotation.write_text(GENERATED)
    find = "import openapi_generator_cli as it; print(*it.__path__)"
    [package] = workshop.run("uvx", "-q", "--from", GENERATOR, "python", "-c", find).split()
    [jar] = Path(package).glob("*.jar")
    sources = (workshop.folder / "client/src/main/java").rglob("*.java")
    workshop.run("javac", "-nowarn", "-d", "classes", "-cp", str(jar), *map(str, sources))
    workshop.run("java", "-cp", f"classes{os.pathsep}{jar}", "Story", workshop.url)


def test_openapi_generator_for_go(workshop: Workshop) -> None:
    workshop.generate("go")
    (workshop.folder / "client/story").mkdir()
    workshop.copy("story.go", "client/story/main.go")
    workshop.run("go", "build", "./...", cwd="client")
    workshop.run("go", "run", "./story", workshop.url, cwd="client")
