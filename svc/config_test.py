import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

import config
from config import Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor a `.env` of the developer counts."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


def defaults() -> dict[str, str]:
    """The default of each setting as one would write it into the environment."""

    def written(value: object) -> str:
        if value is None or value == []:
            return ""
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        return str(value).lower() if isinstance(value, bool) else str(value)

    return {
        name.upper(): written(field.get_default(call_default_factory=True))
        for name, field in Settings.model_fields.items()
    }


def test_the_example_file_has_every_setting_with_its_default() -> None:
    lines = Path(config.__file__).with_name(".env.example").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line)]
    # Those of PostgreSQL itself are the Compose file's.
    example = {name: value for name, value in pairs if not name.startswith("POSTGRES_")}
    assert example == defaults()


def rows_of_the_documentation() -> Iterator[tuple[str, str]]:
    """Name and default of each row of the table of settings."""
    here = Path(config.__file__).parent
    for page in (here.parent / "README.md", here / "docs/operations.md"):
        text = page.read_text() if page.exists() else ""
        _, _, table = text.partition("| setting | default | meaning |\n| --- | --- | --- |\n")
        yield from re.findall(r"\| `([A-Z_]+)` \| (.+?) \|", table.partition("\n\n")[0])


def test_the_table_of_settings_has_every_setting_with_its_default() -> None:
    written = {"empty": "", "as `DATABASE_URL`": ""}
    told = {
        name: written.get(default, default.strip("`"))
        for name, default in rows_of_the_documentation()
    }
    assert told == defaults()


def test_the_environment_beats_the_file_and_the_file_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("MAX_BODY_BYTES=2048\nDATABASE_POOL_SIZE=7\nSOMETHING_ELSE=1\n")
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    monkeypatch.setenv("DATABASE_POOL_SIZE", "9")
    settings = Settings()
    assert (settings.max_body_bytes, settings.database_pool_size) == (2048, 9)


@pytest.mark.parametrize("value", [" ", "\t", ",", " , ", f"a:read:{'0' * 64},", "none"])
def test_api_tokens_that_are_set_and_are_no_list_of_tokens_never_open_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    monkeypatch.setenv("API_TOKENS", value)
    with pytest.raises(ValidationError):
        Settings()
    monkeypatch.delenv("API_TOKENS")
    file = tmp_path / ".env"
    file.write_text(f'API_TOKENS="{value}"\n')
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    with pytest.raises(ValidationError):
        Settings()


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKENS", "")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "")
    monkeypatch.setenv("DATABASE_DIRECT_URL", "")
    assert Settings().database_pool_size == 4
    assert Settings().database_direct_url is None
    assert Settings().api_tokens == []


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("database_pool_size", 1, 100),
        ("database_queue_size", 0, 100_000),
        ("max_body_bytes", 1024, 64 * 1024 * 1024),
        ("max_content_bytes", 1024, 256 * 1024 * 1024),
        ("max_wait_seconds", 1, 3600),
    ],
)
def test_a_number_is_taken_up_to_its_limits(
    monkeypatch: pytest.MonkeyPatch, name: str, least: int, most: int
) -> None:
    for value in (least, most):
        monkeypatch.setenv(name.upper(), str(value))
        assert getattr(Settings(), name) == value
    for value in (least - 1, most + 1):
        monkeypatch.setenv(name.upper(), str(value))
        with pytest.raises(ValidationError):
            Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_TIMEOUT_SECONDS", "0"),
        ("DATABASE_TIMEOUT_SECONDS", "-1"),
        ("DATABASE_TIMEOUT_SECONDS", "nan"),
        ("DATABASE_TIMEOUT_SECONDS", "inf"),
        ("SHUTDOWN_SECONDS", "3601"),
        ("MAX_WAIT_SECONDS", "0.5"),
        ("DATABASE_POOL_SIZE", "many"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_URL", "not a dsn"),
        ("DATABASE_DIRECT_URL", "postgres//hunter2@host"),
    ],
)
def test_a_malformed_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize(
    "dsn", ["postgresql://a:b@h1,h2:5433/c?sslmode=require", "host=a dbname=b"]
)
def test_a_dsn_may_be_a_url_or_key_value_pairs(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    assert Settings().database_url.get_secret_value() == dsn


def test_the_direct_url_is_the_database_url_unless_it_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "host=pooler")
    assert Settings().direct_url == "host=pooler"
    monkeypatch.setenv("DATABASE_DIRECT_URL", "host=primary")
    assert Settings().direct_url == "host=primary"


def test_the_password_is_not_printed_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:hunter2@h/d")
    assert "hunter2" not in f"{Settings()!r} {Settings()} {Settings().model_dump_json()}"


def test_a_malformed_setting_ends_the_process_with_a_line_that_names_it_and_no_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:hunter2@h:port/d?nonsense=1")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "hunter3")
    with pytest.raises(SystemExit) as end:
        config.settings.__wrapped__()
    line = str(end.value.code)
    assert line.startswith("config: DATABASE_URL: ")
    assert "; DATABASE_POOL_SIZE: " in line
    assert "hunter" not in line
    assert "\n" not in line


def test_a_malformed_setting_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:hunter2@h/d?nonsense=1")
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert "hunter2" not in str(refusal.value)


def test_the_settings_of_a_process_are_read_once() -> None:
    config.settings.cache_clear()
    assert config.settings() is config.settings()
    config.settings.cache_clear()
