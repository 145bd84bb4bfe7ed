from pathlib import Path

import pytest
from pydantic import ValidationError

import config
from config import Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor a `.env` of whoever runs the tests counts."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


def test_every_setting_has_a_default() -> None:
    settings = Settings()
    assert settings.database_pool_size == 4
    assert settings.max_body_bytes == 1024 * 1024
    assert settings.database_url.get_secret_value().startswith("postgresql://")


def test_the_environment_beats_the_file_and_the_file_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("MAX_BODY_BYTES=2048\nDATABASE_POOL_SIZE=7\nSOMETHING_ELSE=1\n")
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    monkeypatch.setenv("DATABASE_POOL_SIZE", "9")
    settings = Settings()
    assert (settings.max_body_bytes, settings.database_pool_size) == (2048, 9)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "")
    monkeypatch.setenv("DATABASE_DIRECT_URL", "")
    assert Settings().database_pool_size == 4
    assert Settings().database_direct_url is None


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("database_pool_size", 1, 100),
        ("database_queue_size", 0, 100_000),
        ("max_body_bytes", 1024, 64 * 1024 * 1024),
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
