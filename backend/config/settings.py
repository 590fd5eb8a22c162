"""Every setting, its default and what is allowed. Read when asked (`load_settings`), never at import."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backend.config.databases import NamedDatabase, named_databases
from backend.models.errors import SettingsError

MIN_SECRET_BYTES = 32
FORBIDDEN_SECRETS = frozenset({"change-me", "secret", "your-secret-key", "please-change-this-secret-key-now"})

PositiveInt = Annotated[int, Field(ge=1, le=1_000_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
HttpUrlText = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=500)]
"""A base URL without credentials, query or fragment."""


PluginName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", max_length=300)]
"""`package.module:Name`."""


class Settings(BaseSettings):
    """Environment variables and `.env`, upper case; docs/configuration.md describes each."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", case_sensitive=False, frozen=True
    )

    server_host: str = "127.0.0.1"
    server_port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    data_dir: Path = Path("data")
    secret_key: SecretStr | None = None

    llm_provider: Annotated[str, Field(min_length=1, max_length=64)] = "auto"
    """`auto`, or the name of a provider: a file of backend/llm."""
    ollama_host: Annotated[tuple[str, ...], NoDecode] = ("http://127.0.0.1:11434",)
    ollama_model: str | None = None
    ollama_timeout: Seconds = 300.0
    """Longest wait for the first token (a model may have to load), in seconds."""
    ollama_gap_timeout: Seconds = 60.0
    """Longest silence between two tokens, in seconds."""
    ollama_num_ctx: Annotated[int, Field(ge=512, le=4_194_304)] | None = None
    ollama_temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    ollama_top_p: Annotated[float, Field(ge=0, le=1)] = 0.9
    ollama_top_k: Annotated[int, Field(ge=1, le=10_000)] = 40
    ollama_keep_alive: str = "30m"
    ollama_num_parallel: Annotated[int, Field(ge=1, le=65_536)] = 1024
    """Requests sent to one Ollama at a time; further ones wait here."""

    embedding_model: str = "all-MiniLM-L6-v2"
    vector_db_type: Literal["faiss", "chroma"] = "faiss"
    vector_db_path: Path | None = None
    chunk_size: Annotated[int, Field(ge=100, le=8000)] = 1000
    chunk_overlap: Annotated[int, Field(ge=0, le=4000)] = 200
    rerank_model: Annotated[str, Field(max_length=200)] = ""
    """What orders the found passages again: `ollama:NAME`, `cross-encoder:NAME_OR_PATH`, or nothing."""
    ocr: Literal["auto", "off"] = "auto"
    """Whether scanned pages are read by `tesseract`, where it is installed."""
    ocr_languages: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\+[A-Za-z0-9_]+)*$", max_length=100)] = "eng"
    """As `tesseract` names them, joined with `+`."""
    max_documents_per_user: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    max_storage_mb_per_user: Annotated[float, Field(gt=0, le=10_485_760)] = 10_240.0
    max_chunks_per_user: Annotated[int, Field(ge=100, le=10_000_000)] = 500_000

    users_path: Path | None = None
    sessions_path: Path | None = None
    conversations_path: Path | None = None
    uploads_path: Path | None = None

    jwt_algorithm: Literal["HS256"] = "HS256"
    jwt_expiration_hours: Annotated[float, Field(gt=0, le=8760)] = 24.0
    max_upload_mb: Annotated[float, Field(gt=0, le=10_240)] = 20.0
    max_body_kb: Annotated[int, Field(ge=16, le=1_048_576)] = 1024
    """Largest JSON request body, in KiB."""
    max_concurrent_requests: PositiveInt = 1024
    """Long requests (answers of models and agents, embeddings, tools) running at once; further ones stand in line."""
    max_queued_requests: Annotated[int, Field(ge=0, le=1_000_000)] = 1024
    """Requests in line; above it the answer is 503 with Retry-After. One user may take half of the line."""
    max_requests_per_user: PositiveInt | None = None
    """Of MAX_CONCURRENT_REQUESTS, the most that one user runs at once; None means three quarters."""
    queue_timeout: Seconds = 30.0
    """Longest time in line, in seconds; after it the answer is 429 or 503 with Retry-After."""

    router_asks_model: bool = False
    """Whether the language model is asked which way to take when the router's other signals disagree."""
    max_agent_iterations: Annotated[int, Field(ge=1, le=50)] = 5
    max_plan_rounds: Annotated[int, Field(ge=1, le=10)] = 3
    max_tool_calls: Annotated[int, Field(ge=1, le=200)] = 20
    max_run_tokens: Annotated[int, Field(ge=100, le=100_000_000)] = 100_000
    agent_timeout: Seconds = 300.0

    service_contact: Annotated[str, Field(max_length=200, pattern=r"^[\x20-\x7e]*$")] = ""
    """An address or URL told to public services in the User-Agent, as Wikimedia asks for."""
    weather_url: HttpUrlText = "https://api.open-meteo.com"
    geocoding_url: HttpUrlText = "https://geocoding-api.open-meteo.com"
    wikipedia_url: HttpUrlText = "https://{language}.wikipedia.org"
    """`{language}` stands for the edition, e.g. `en`."""

    sandbox: Literal["auto", "bubblewrap", "unshare", "landlock", "off"] = "auto"
    """The strongest layer to try for Python code; `auto` is bubblewrap. Below landlock nothing is ever run."""
    tavily_api_key: SecretStr | None = None
    tavily_url: HttpUrlText = "https://api.tavily.com"
    searxng_url: HttpUrlText | None = None
    web_search_keyless: bool = False
    """Whether the web may be searched through the public pages of search engines (optional group `search`)."""
    search_cache_seconds: Annotated[float, Field(ge=0, le=86_400)] = 900.0
    """How long the results of a web search are kept; 0 keeps none."""
    fetch_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts, or hosts with port, that `fetch_url` may read wherever they lead; all others must be public."""

    databases: Annotated[tuple[NamedDatabase, ...], NoDecode] = ()
    """Databases that may be asked in SQL, read only: `name=url`, or `name[role]=url` for one role alone."""
    sql_engine: Literal["auto", "sqlite", "duckdb"] = "auto"
    """`auto`: DuckDB, where installed, for tables of 200,000 rows and more, otherwise SQLite."""

    mcp_config: Path | None = None
    """Which servers of the Model Context Protocol are plugged in; None means mcp.json in the data folder."""
    langchain_tools: Annotated[tuple[PluginName, ...], NoDecode] = ()
    """LangChain tools, each as `package.module:Name`."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Names besides loopback under which the server may be addressed when it listens on loopback."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses whose X-Forwarded-For is believed."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_file: Path | None = None

    @field_validator(
        "ollama_host",
        "cors_origins",
        "langchain_tools",
        "allowed_hosts",
        "trusted_proxies",
        "fetch_allowed_hosts",
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("databases", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return named_databases(value) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2 or "*" in origin:
                raise ValueError("exact origins such as http://localhost:3000, separated by commas (no *)")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            try:
                ipaddress.ip_network(address)
            except ValueError:
                raise ValueError("IP addresses or networks, separated by commas") from None
        return value

    @field_validator("fetch_allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not re.fullmatch(r"(?:[a-z0-9_.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?", host.lower()):
                raise ValueError("host names such as wiki.example.org or wiki.corp:8080, separated by commas")
        return tuple(host.lower() for host in value)

    @field_validator("tavily_api_key", "searxng_url", mode="before")
    @classmethod
    def _blank_is_none(cls, value: Any) -> Any:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("tavily_api_key")
    @classmethod
    def _plain_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]{8,200}", value.get_secret_value()):
            raise ValueError("8 to 200 letters, digits and signs without spaces, as Tavily gave it")
        return value

    @field_validator("secret_key")
    @classmethod
    def _strong_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = value.get_secret_value()
        if len(text.encode()) < MIN_SECRET_BYTES or text.lower() in FORBIDDEN_SECRETS or len(set(text)) < 8:
            raise ValueError(
                f"at least {MIN_SECRET_BYTES} random bytes, or leave it out and Hearth makes one"
                " (e.g. `openssl rand -hex 32`)"
            )
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("llm_provider", "vector_db_type", "sandbox", "sql_engine", "ocr", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @property
    def users_dir(self) -> Path:
        return self.users_path or self.data_dir / "users"

    @property
    def sessions_dir(self) -> Path:
        return self.sessions_path or self.data_dir / "sessions"

    @property
    def conversations_dir(self) -> Path:
        return self.conversations_path or self.data_dir / "conversations"

    @property
    def uploads_dir(self) -> Path:
        return self.uploads_path or self.data_dir / "uploads"

    @property
    def vectors_dir(self) -> Path:
        return self.vector_db_path or self.data_dir / "vector_db"

    @property
    def runs_dir(self) -> Path:
        return self.data_dir / "runs"

    @property
    def completions_dir(self) -> Path:
        return self.data_dir / "completions"

    @property
    def artifacts_dir(self) -> Path:
        return self.data_dir / "artifacts"

    @property
    def preferences_dir(self) -> Path:
        return self.data_dir / "preferences"

    @property
    def responses_dir(self) -> Path:
        return self.data_dir / "responses"

    @property
    def item_conversations_dir(self) -> Path:
        return self.data_dir / "item_conversations"

    @property
    def collections_dir(self) -> Path:
        return self.data_dir / "collections"

    @property
    def partial_uploads_dir(self) -> Path:
        return self.data_dir / "partial_uploads"

    @property
    def tables_dir(self) -> Path:
        return self.data_dir / "tables"

    @property
    def log_path(self) -> Path:
        return self.log_file or self.data_dir / "logs" / "app.log"

    @property
    def max_upload_bytes(self) -> int:
        return int(self.max_upload_mb * 1_048_576)


def load_settings(**overrides: Any) -> Settings:
    """Read the environment and `.env`.

    Raises:
        SettingsError: one line naming the setting, the value and what is allowed.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "a setting"
        given = "(hidden)" if name in {"SECRET_KEY", "TAVILY_API_KEY", "DATABASES"} else repr(first.get("input"))
        allowed = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}={given} is not allowed: {allowed}. Set it in the environment or .env.") from None
