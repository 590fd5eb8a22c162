"""Everything one running double knows: configuration, models, script, log, counters."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.ollama.http1 import Connection, Exchange, Request
from tests.doubles.ollama.profile import Profile
from tests.doubles.ollama.records import Installed, ModelRecord, default_models
from tests.doubles.ollama.scheduler import Scheduler
from tests.doubles.ollama.script import Script, Scripted

PULLABLE = ("llama3.2:1b", "gemma3:1b", "qwen3:0.6b", "gpt-oss:20b", *(record.name for record in default_models()))
_LIMIT_NAMES = ("num_parallel", "max_queue", "max_loaded", "keep_alive_s", "load_seconds")


@dataclass(slots=True)
class Config:
    """Speeds in tokens per second; None is as fast as the socket takes it."""

    version: str = "0.33.0"
    default_num_ctx: int = 4096
    tokens_per_s: float | None = None
    prompt_tokens_per_s: float | None = None
    pullable: tuple[str, ...] = PULLABLE
    pull_delay_s: float = 0.0
    check_host: bool = True


@dataclass(slots=True)
class LogEntry:
    """One request as it happened. Times ending in `_at` are epoch seconds, `_monotonic` is CLOCK_MONOTONIC."""

    id: int
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    arrived_at: float
    arrived_monotonic: float
    answered_by: str = ""
    status: int = 0
    chunks: int = 0
    bytes_sent: int = 0
    first_byte_at: float | None = None
    finished_at: float | None = None
    disconnected_at: float | None = None
    disconnected_monotonic: float | None = None
    prompt_tokens: int | None = None
    num_ctx: int | None = None
    kept_messages: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def close(self, exchange: Exchange) -> None:
        self.status, self.chunks = exchange.status, exchange.chunks
        self.bytes_sent, self.first_byte_at = exchange.bytes_sent, exchange.first_byte_at


def parsed_body(raw: bytes) -> Any:
    """The JSON value, else the text, else None."""
    if not raw:
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")


@dataclass(slots=True)
class Double:
    """The state shared by all handlers."""

    config: Config = field(default_factory=Config)
    installed: Installed = field(default_factory=lambda: Installed(default_models()))
    scheduler: Scheduler = field(default_factory=Scheduler)
    script: Script = field(default_factory=Script)
    log: list[LogEntry] = field(default_factory=list)
    connections: set[Connection] = field(default_factory=set)
    keep_log: bool = True
    _next_id: int = 1
    _call_number: int = 0

    @property
    def profile(self) -> Profile:
        return Profile(self.config.version)

    def reset(self) -> None:
        """Back to a fresh process, except for the open connections."""
        self.config = Config()
        self.installed = Installed(default_models())
        self.scheduler.clear()
        self.script.clear()
        self.log = []
        self.keep_log = True
        self._next_id, self._call_number = 1, 0

    def configure(self, values: dict[str, Any]) -> None:
        """Raises ValueError for an unknown key."""
        for key, value in values.items():
            if key in _LIMIT_NAMES:
                setattr(self.scheduler.limits, key, value)
            elif key == "keep_log":
                self.keep_log = bool(value)
            elif key == "pullable":
                self.config.pullable = tuple(value)
            elif key in Config.__slots__:
                setattr(self.config, key, value)
            else:
                raise ValueError(f"unknown configuration key: {key}")

    def set_models(self, values: list[Any]) -> None:
        self.installed = Installed([ModelRecord.from_json(value) for value in values])

    def record(self, request: Request, body: Any) -> LogEntry:
        """A new log entry, kept unless `keep_log` is off (as a benchmark wants it)."""
        entry = LogEntry(
            self._next_id,
            request.method,
            request.path,
            request.headers,
            body,
            request.arrived_at,
            request.arrived_monotonic,
        )
        self._next_id += 1
        if self.keep_log:
            self.log.append(entry)
        return entry

    def new_call_id(self) -> str:
        """`call_` and eight of a-z0-9, repeatable after a reset."""
        self._call_number += 1
        number, digits = (self._call_number * 2_654_435_761) % 36**8, ""
        for _ in range(8):
            number, digit = divmod(number, 36)
            digits += "abcdefghijklmnopqrstuvwxyz0123456789"[digit]
        return "call_" + digits

    def stats(self) -> dict[str, Any]:
        scheduler = self.scheduler
        active = [entry.id for entry in self.log if entry.finished_at is None and entry.disconnected_at is None]
        return {
            "loads": scheduler.loads,
            "reloads": scheduler.reloads,
            "unloads": scheduler.unloads,
            "total_loads": sum(scheduler.loads.values()),
            "total_reloads": sum(scheduler.reloads.values()),
            "loaded": [entry.record.name for entry in scheduler.loaded.values()],
            "open_connections": len(self.connections) - 1,
            "active_requests": len(active),
            "running": scheduler.running,
            "max_running": scheduler.max_running,
            "waiting_for_slot": scheduler.waiting_for_slot,
            "waiting_for_load": scheduler.pending,
            "requests": self._next_id - 1,
            "now": time.time(),
        }


@dataclass(slots=True)
class Context:
    """What a handler gets: the double, the request, its answering side, the matched script and the log entry."""

    double: Double
    request: Request
    exchange: Exchange
    scripted: Scripted | None
    entry: LogEntry
