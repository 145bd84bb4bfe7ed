"""The settings: environment variables, then `.env` beside this file, then defaults."""

import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import psycopg2
from psycopg2.extensions import parse_dsn
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from edge.tokens import Token, parse


def _dsn(value: SecretStr) -> SecretStr:
    try:
        parse_dsn(value.get_secret_value())
    except psycopg2.ProgrammingError:
        raise ValueError("not a connection string of PostgreSQL") from None
    return value


type Dsn = Annotated[SecretStr, AfterValidator(_dsn)]
type Seconds = Annotated[float, Field(ge=0.01, le=3600)]


class Settings(BaseSettings):
    """Each setting with a default that suits local development; `.env.example` explains it."""

    model_config = SettingsConfigDict(
        env_file=Path(__file__).with_name(".env"),
        env_ignore_empty=True,
        extra="ignore",
        # A validation error would otherwise print the DSN with its password.
        hide_input_in_errors=True,
    )

    database_url: Dsn = SecretStr(
        "postgresql://config_service:config_service@localhost:5432/config_service"
    )
    database_direct_url: Dsn | None = None
    database_pool_size: Annotated[int, Field(ge=1, le=100)] = 4
    database_queue_size: Annotated[int, Field(ge=0, le=100_000)] = 256
    database_timeout_seconds: Seconds = 5
    answer_memory_bytes: Annotated[int, Field(ge=0)] = 16 * 1024 * 1024
    shutdown_seconds: Seconds = 10
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 1024 * 1024
    max_content_bytes: Annotated[int, Field(ge=1024, le=256 * 1024 * 1024)] = 16 * 1024 * 1024
    require_if_match: bool = False
    history_keep_revisions: Annotated[int, Field(ge=0, lt=2**63)] = 0
    max_wait_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    max_watchers: Annotated[int, Field(ge=0)] = 10_000
    api_tokens: Annotated[list[Token], NoDecode, BeforeValidator(parse)] = Field(
        default=[], validate_default=False
    )
    docs_public: bool = True
    metrics_public: bool = True
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def direct_url(self) -> str:
        """The DSN for what a transaction pooler would break: migrations and LISTEN."""
        return (self.database_direct_url or self.database_url).get_secret_value()


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    A malformed one ends the process with a line that names the settings and never their values.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = (f"{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors())
        sys.exit("config: " + "; ".join(wrong))
