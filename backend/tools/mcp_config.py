"""`mcp.json`: which servers of the Model Context Protocol (MCP) are plugged in, and what each may do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from backend.tools.port import Unavailable

MAX_FILE_BYTES = 1_048_576
MAX_SERVERS = 50
LOOK_EVERY_S = 1.0
_WHOLE_FILE = "Servers of the Model Context Protocol."
_SERVER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"
_Text = Annotated[str, Field(max_length=8_000, pattern=r"^[^\x00]*$")]
_Line = Annotated[str, Field(max_length=8_000, pattern=r"^[^\x00\r\n]*$")]


class ServerEntry(BaseModel):
    """One server: `command` for a program that speaks over its standard input and output, or `url` for one that is
    reached by streamable HTTP. Keys of other programs are ignored.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Annotated[str, Field(pattern=_SERVER_NAME)]
    command: Annotated[str, Field(min_length=1, max_length=4_096, pattern=r"^[^\x00]*$")] | None = None
    args: tuple[_Text, ...] = ()
    env: dict[str, _Text] = Field(default_factory=dict)
    cwd: Annotated[str, Field(max_length=4_096, pattern=r"^[^\x00]*$")] | None = None
    url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s#]*)?$", max_length=2_000)] | None = None
    headers: dict[str, _Line] = Field(default_factory=dict)
    tools: tuple[str, ...] | None = None
    """The server's own names of the tools that are taken; None takes all."""
    users: tuple[str, ...] | None = None
    """Names or ids of the users who may use the server; None means everybody."""
    confirm: bool | tuple[str, ...] | None = None
    """True: every call needs the user's confirmation; False: none does; names: these do, and those that call
    themselves destructive; None: all but those that say they only read."""
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Seconds one call may take."""
    disabled: bool = False

    @field_validator("env")
    @classmethod
    def _plain_names(cls, value: dict[str, str]) -> dict[str, str]:
        if any(not name or "=" in name or "\0" in name for name in value):
            raise ValueError("names of variables without =")
        return value

    @field_validator("headers")
    @classmethod
    def _tokens(cls, value: dict[str, str]) -> dict[str, str]:
        if any(not name or not name.replace("-", "").replace("_", "").isalnum() for name in value):
            raise ValueError("header names of letters, digits and hyphens")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> ServerEntry:
        if (self.command is None) == (self.url is None):
            raise ValueError("either command or url")
        return self

    def wants(self, tool: str) -> bool:
        """Whether the server's tool of this name is taken."""
        return self.tools is None or tool in self.tools


def read_config(path: Path, *, named: bool) -> tuple[Sequence[ServerEntry], Sequence[Unavailable]]:
    """The servers of a file, and for each that cannot be used as written the reason.

    A file that is missing holds no servers, unless it was `named` in a setting. Nothing here raises: a mistake in
    this file must not keep the server from starting.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return (), (_broken("the file is larger than 1 MiB"),)
        value: Any = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return (), (_broken("the file that MCP_CONFIG names does not exist"),) if named else ()
    except OSError as error:
        return (), (_broken(f"the file cannot be read ({error.strerror})"),)
    except orjson.JSONDecodeError as error:
        return (), (_broken(f"the file is not valid JSON (line {error.lineno}, column {error.colno})"),)
    servers = value.get("mcpServers") if isinstance(value, dict) else None
    if not isinstance(servers, dict) or len(servers) > MAX_SERVERS:
        return (), (_broken(f"an object with `mcpServers`, an object of at most {MAX_SERVERS} servers, is expected"),)
    return _entries(servers)


def _entries(servers: dict[str, Any]) -> tuple[Sequence[ServerEntry], Sequence[Unavailable]]:
    entries: list[ServerEntry] = []
    refused: list[Unavailable] = []
    for name, given in servers.items():
        label = "".join(c for c in name if c.isprintable())[:40] or "mcp"
        try:
            entry = ServerEntry.model_validate({**given, "name": name} if isinstance(given, dict) else {"name": name})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part)[:40] for part in first["loc"]) or "entry"
            # The value itself may be a secret.
            message = first["msg"].removeprefix("Value error, ")
            refused.append(Unavailable(label, "", f"its entry in the MCP configuration is wrong at {where}: {message}"))
            continue
        if entry.disabled:
            refused.append(Unavailable(label, "", "it is disabled in the MCP configuration"))
        else:
            entries.append(entry)
    return entries, refused


def _broken(reason: str) -> Unavailable:
    return Unavailable("mcp", _WHOLE_FILE, f"MCP configuration: {reason}")


class ConfigFile:
    """The file while the server runs: read again when it has changed, looked at no more than once a second."""

    def __init__(self, path: Path, *, named: bool) -> None:
        """`named`: a setting names the file, so that it must exist."""
        self._path = path
        self._named = named
        self._looked_at = -LOOK_EVERY_S
        self._seen: tuple[int, ...] | None = None

    def read(self) -> tuple[Sequence[ServerEntry], Sequence[Unavailable]]:
        """See read_config."""
        self._seen = self._state()
        return read_config(self._path, named=self._named)

    def read_if_changed(self) -> tuple[Sequence[ServerEntry] | None, Sequence[Unavailable]] | None:
        """As `read`, None when there is nothing new. The servers are None when the file cannot be read as a whole:
        somebody may be in the middle of writing it."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return None
        self._looked_at = time.monotonic()
        if self._state() == self._seen:
            return None
        entries, refused = self.read()
        return (None if any(each.description == _WHOLE_FILE for each in refused) else entries), refused

    def _state(self) -> tuple[int, ...] | None:
        """What changes with the file's content; None while there is no file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
