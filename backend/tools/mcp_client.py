"""Tools of other servers, plugged in by the Model Context Protocol: `DATA_DIR/mcp.json`, or MCP_CONFIG."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from backend.models.errors import NotAllowed
from backend.models.run import SERVER, Owner, RunContext
from backend.models.tools import ToolResult
from backend.tools.mcp_config import ConfigFile, ServerEntry
from backend.tools.mcp_connection import START_S, Connection
from backend.tools.mcp_results import result_of
from backend.tools.mcp_text import MAX_DESCRIPTION_CHARS, SchemaRefused, argument_schema, one_line, plain, tool_name
from backend.tools.port import BaseTool, ToolServices, Unavailable

if TYPE_CHECKING:
    from backend.storage.artifact_store import ArtifactStore
    from backend.storage.user_store import UserStore

log = logging.getLogger("hearth.tools.mcp")

MAX_TOOLS = 64
"""Of one server: what more there is would only fill the model's window."""
NAMES_KEPT_S = 2.0
_ADDRESS = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>]+")


def create_source(services: ToolServices) -> McpTools:
    settings = services.settings
    path = settings.mcp_config or settings.data_dir / "mcp.json"
    file = ConfigFile(path, named=settings.mcp_config is not None)
    entries, refused = file.read()
    return McpTools(entries, refused, services.artifacts, services.users, file=file)


class AnyArguments(BaseModel):
    """Stands where a class is asked for; the schema that counts is the server's own."""

    model_config = ConfigDict(extra="allow")


class McpTool(BaseTool):
    """One tool of another server. What comes back is a stranger's text, and a call leaves this process."""

    Args: ClassVar[type[BaseModel]] = AnyArguments
    untrusted = True
    outbound = True
    imported = True

    def __init__(self, plugin: Plugin, listed: Any, name: str, schema: Mapping[str, Any]) -> None:
        """Shapes what the server says; `listed` is the library's Tool."""
        about = listed.description or listed.title or "A tool without a description."
        self.name = name
        self.description = f"[{plugin.entry.name}] {plain(about, MAX_DESCRIPTION_CHARS)}"
        self.parameters = schema
        self.timeout_s = plugin.entry.timeout + 5.0
        self.needs_confirmation = needs_confirmation(plugin.entry, listed)
        self._plugin = plugin
        self.server = plugin.entry.name
        self.server_url = plugin.entry.url or ""
        self.listed_name = listed.name

    def allows(self, owner: Owner) -> bool:
        return self._plugin.allows(owner)

    def addresses(self, arguments: Any) -> Sequence[str]:
        return [found for text in _texts(arguments) for found in _ADDRESS.findall(text)]

    async def run(self, arguments: dict[str, Any], context: RunContext) -> ToolResult:
        """Raises NotAllowed, ToolUnavailable, ServiceFailed."""
        if not self.allows(context.owner):
            raise NotAllowed(f"{self.name} is not yours to use.")
        answer = await self._plugin.connection.call(self.listed_name, arguments)
        return await result_of(self.name, answer, self._plugin.artifacts, context)


class Plugin:
    """One server and the tools it has listed last."""

    def __init__(self, entry: ServerEntry, artifacts: ArtifactStore, users: UserStore | None, start_s: float) -> None:
        self.entry = entry
        self.artifacts = artifacts
        self.connection = Connection(entry, self._listed, start_s)
        self.tools: tuple[McpTool, ...] = ()
        self.refused: tuple[Unavailable, ...] = ()
        self._users = users
        self._allowed: frozenset[str] | None = None if entry.users is None else frozenset(entry.users)
        self._names_read = -NAMES_KEPT_S

    def allows(self, owner: Owner) -> bool:
        return self._allowed is None or owner.user in self._allowed

    async def read_names(self) -> None:
        """Turn the allow-list's user names into ids, now and then: accounts come and go."""
        names = self.entry.users
        if names is None or self._users is None or time.monotonic() - self._names_read < NAMES_KEPT_S:
            return
        self._names_read = time.monotonic()
        ids = {user.id for user in await self._users.list_users(SERVER)}
        # An id first: nobody gets in by having a name that is somebody else's id.
        allowed = {name for name in names if name in ids}
        for name in set(names) - ids:
            user = await self._users.find_user(SERVER, name)
            allowed |= {user.id} if user is not None else set()
        self._allowed = frozenset(allowed)

    def _listed(self, listed: Sequence[Any]) -> None:
        tools: dict[str, McpTool] = {}
        refused: list[Unavailable] = []
        for each in listed:
            name = tool_name(self.entry.name, each.name)
            if not name or name in tools or not self.entry.wants(each.name):
                continue
            if len(tools) >= MAX_TOOLS:
                log.warning("plug-in %s: only its first %d tools are taken", self.entry.name, MAX_TOOLS)
                break
            try:
                tools[name] = McpTool(self, each, name, argument_schema(each.input_schema))
            except SchemaRefused as error:
                refused.append(Unavailable(name, one_line(each.description or "", 200), str(error), self.allows))
        self.tools, self.refused = tuple(tools.values()), tuple(refused)

    def able(self) -> Sequence[McpTool]:
        # While it is being started again its tools stay: a call waits for it.
        return self.tools if self.connection.state in ("ready", "starting") else ()

    def unable(self) -> Iterator[Unavailable]:
        name, state = self.entry.name, self.connection.state
        about = f"Tools of the plug-in {name}."
        if state == "ready":
            yield from self.refused
        elif state == "starting":
            if not self.tools:
                yield Unavailable(name, about, "it is being started: ask again in a moment", self.allows)
        elif self.tools:
            for tool in self.tools:
                reason = f"the plug-in {name} is down: {self.connection.reason}"
                yield Unavailable(tool.name, tool.description, reason, self.allows)
        else:
            yield Unavailable(name, about, self.connection.reason, self.allows)


class McpTools:
    """All plugged-in servers. Making it starts none of them."""

    name = "mcp"

    def __init__(
        self,
        entries: Sequence[ServerEntry],
        refused: Sequence[Unavailable],
        artifacts: ArtifactStore,
        users: UserStore | None = None,
        start_s: float = START_S,
        file: ConfigFile | None = None,
    ) -> None:
        """`file`: where to look for changes of the entries; None means that they stay as they are."""
        self._make = partial(Plugin, artifacts=artifacts, users=users, start_s=start_s)
        self.plugins = [self._make(entry) for entry in entries]
        self._refused = refused
        self._file = file
        self._leaving: set[asyncio.Task[None]] = set()

    async def reach(self, seconds: float) -> None:
        """Start what is not running and not waiting after a failure; wait for it at most so long."""
        await self._follow_file()
        for plugin in self.plugins:
            plugin.connection.begin()
            await plugin.read_names()
        await asyncio.gather(*(plugin.connection.settled(seconds) for plugin in self.plugins))

    def tools(self) -> Sequence[McpTool]:
        return [tool for plugin in self.plugins for tool in plugin.able()]

    def unavailable(self) -> Sequence[Unavailable]:
        return [*self._refused, *(each for plugin in self.plugins for each in plugin.unable())]

    async def _follow_file(self) -> None:
        """Take over what has changed in the file: servers whose entry is the same run on, the others end."""
        found = None if self._file is None else await asyncio.to_thread(self._file.read_if_changed)
        if found is None:
            return
        entries, self._refused = found
        if entries is None:
            log.warning("the MCP configuration cannot be read now; its servers stay as they are")
            return
        running = {plugin.entry.name: plugin for plugin in self.plugins}
        kept = {entry.name: running[entry.name] for entry in entries if _runs_as(running.get(entry.name), entry)}
        ended = [plugin for name, plugin in running.items() if name not in kept]
        self.plugins = [kept.get(entry.name) or self._make(entry) for entry in entries]
        log.info("the MCP configuration changed: %d servers, %d of them as before", len(entries), len(kept))
        for plugin in ended:
            # Not waited for: a program may take seconds to end, and somebody's question is waiting.
            task = asyncio.create_task(plugin.connection.aclose())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def aclose(self) -> None:
        await asyncio.gather(*(plugin.connection.aclose() for plugin in self.plugins), *self._leaving)


def _runs_as(plugin: Plugin | None, entry: ServerEntry) -> bool:
    return plugin is not None and plugin.entry == entry


def needs_confirmation(entry: ServerEntry, listed: Any) -> bool:
    """Whether the user must agree to a call: what the entry says, else what the tool says of itself."""
    hints = listed.annotations
    if isinstance(entry.confirm, bool):
        return entry.confirm
    if entry.confirm is not None:
        return listed.name in entry.confirm or (hints is not None and hints.destructive_hint is True)
    return hints is None or hints.read_only_hint is not True or hints.destructive_hint is True


def _texts(value: Any) -> Iterator[str]:
    """Every text in the arguments."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, Mapping):
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
