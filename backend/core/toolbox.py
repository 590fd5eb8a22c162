"""Finding the tools in the folder, and the one place where a tool is called."""

from __future__ import annotations

import asyncio
import importlib
import logging
import pkgutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from backend.models.errors import HearthError, InvalidRequest, NotFound, SettingsError, ToolUnavailable
from backend.models.messages import Message
from backend.models.run import RunContext
from backend.models.tools import Source, ToolResult, ToolSpec
from backend.tools.port import Tool, ToolServices, Unavailable
from backend.utils.untrusted import fenced

log = logging.getLogger("hearth.tools")

MAX_OBSERVATION_CHARS = 12_000
"""About 3,000 tokens: what one tool result may take of the model's window."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What one call came to. `observation` is the text for the model; `started_at` seconds since the epoch."""

    name: str
    arguments: Mapping[str, Any]
    result: ToolResult
    observation: str
    started_at: float
    seconds: float
    markers: tuple[int, ...] = ()
    """`markers[i]` is the number under which `result.sources[i]` may be cited."""

    @property
    def error(self) -> str | None:
        return self.result.error

    def as_message(self, call_id: str) -> Message:
        """The tool turn that answers the call with this id."""
        return Message(
            "tool",
            self.observation,
            tool_call_id=call_id,
            name=self.name,
            result=self.result,
            markers=self.markers,
        )


class ToolRegistry:
    """The tools of this server. Built once at start; holds no user's data."""

    def __init__(self, tools: Iterable[Tool], unavailable: Iterable[Unavailable] = ()) -> None:
        """Raises SettingsError when two tools share a name."""
        self.tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self.tools:
                raise SettingsError(f"Two tools are named {tool.name}: rename or remove one in backend/tools.")
            self.tools[tool.name] = tool
        self.unavailable = {each.name: each for each in unavailable if each.name not in self.tools}
        self._schemas: dict[str, dict[str, Any]] = {}

    @classmethod
    def discover(cls, services: ToolServices, package: str = "backend.tools") -> ToolRegistry:
        """Every module of the package that has `create(services)`; one whose library is absent is Unavailable."""
        tools: list[Tool] = []
        unavailable: list[Unavailable] = []
        folder = importlib.import_module(package)
        for found in sorted(pkgutil.iter_modules(folder.__path__), key=lambda module: module.name):
            try:
                module = importlib.import_module(f"{package}.{found.name}")
            except ImportError as error:
                reason = f"needs the Python package {error.name}, which is not installed"
                unavailable.append(Unavailable(found.name, "", reason))
                continue
            create: Callable[[ToolServices], Tool | Unavailable] | None = getattr(module, "create", None)
            if create is None:
                continue
            made = create(services)
            if isinstance(made, Unavailable):
                unavailable.append(made)
            else:
                tools.append(made)
        return cls(tools, unavailable)

    def find(self, name: str) -> Tool:
        """Raises NotFound for an unknown tool, ToolUnavailable with the reason for one that cannot work here."""
        if name in self.tools:
            return self.tools[name]
        if name in self.unavailable:
            raise ToolUnavailable(f"The tool {name} is not available here: {self.unavailable[name].reason}.")
        raise NotFound(f"There is no tool named {name[:64]!r}; the tools are {', '.join(self.tools)}.")

    def toolbox(
        self, context: RunContext, allowed: Sequence[str] | None = None, caller: Sequence[ToolSpec] = ()
    ) -> Toolbox:
        """The tools one run may use: all, or those named; and the caller's own, which win over ours of that name."""
        theirs = {spec.name: spec for spec in caller}
        tools = {n: t for n, t in self.tools.items() if n not in theirs and (allowed is None or n in allowed)}
        return Toolbox(tools, context, self.schema, caller=theirs)

    async def aclose(self) -> None:
        """Let every tool go of its connections and processes."""
        await asyncio.gather(*(tool.aclose() for tool in self.tools.values()))

    def schema(self, name: str) -> dict[str, Any]:
        """The JSON schema of a tool's arguments; made once, as making it costs a millisecond."""
        if name not in self._schemas:
            self._schemas[name] = schema_of(self.tools[name].Args)
        return self._schemas[name]


@dataclass(slots=True)
class Toolbox:
    """The tools of one run, and the numbering of everything they cite."""

    tools: Mapping[str, Tool]
    context: RunContext
    schema: Callable[[str], dict[str, Any]] | None = None
    """Where to have argument schemas from by tool name, when they are at hand already."""
    sources: list[Source] = field(default_factory=list)
    """Source of marker `[n]` at position n-1."""
    caller: Mapping[str, ToolSpec] = field(default_factory=dict)
    """The caller's own tools by name: the model may ask for them, but only the caller can run them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Everything the model may ask for, ours first."""
        return (*self.tools, *self.caller)

    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is shown."""
        ours = tuple(
            ToolSpec(
                tool.name,
                tool.description,
                self.schema(tool.name) if self.schema is not None else schema_of(tool.Args),
                partial(_propose, tool, self.context),
            )
            for tool in self.tools.values()
        )
        return (*ours, *self.caller.values())

    async def call(self, name: str, arguments: str | Mapping[str, Any]) -> ToolOutcome:
        """Run a tool for the model: whatever goes wrong becomes an outcome with `error`, never an exception.

        Cancelling the call cancels the tool. One of the two broad excepts of the house.
        """
        started_at, clock = time.time(), time.perf_counter()
        given: Mapping[str, Any] = arguments if isinstance(arguments, Mapping) else {}
        try:
            tool = self.tools.get(name)
            if tool is None:
                raise NotFound(f"There is no tool named {name[:64]!r}; the tools are {', '.join(self.names)}.")
            given = arguments_of(arguments)
            checked = validate(tool, given)
            limit = min(tool.timeout_s, max(0.1, self.context.seconds_left()))
            async with asyncio.timeout(limit):
                result = await tool.run(checked, self.context)
        except TimeoutError:
            result = ToolResult("", error=f"{name} took too long and was stopped.")
        except HearthError as error:
            result = ToolResult("", error=error.message)
        except Exception:
            log.exception("tool %s failed", name)
            result = ToolResult("", error=f"{name} failed unexpectedly; the server's log says why.")
        seconds = time.perf_counter() - clock
        markers = tuple(self.cite(source) for source in result.sources)
        observation = self._observe(name, result, markers)
        return ToolOutcome(name, given, result, observation, started_at, seconds, markers)

    def cite(self, source: Source) -> int:
        """The marker number of a source, from 1; the same source keeps its number for the whole run."""
        if source in self.sources:
            return self.sources.index(source) + 1
        self.sources.append(source)
        return len(self.sources)

    def _observe(self, name: str, result: ToolResult, markers: Sequence[int]) -> str:
        if result.error is not None:
            return f"Error: {result.error}"
        parts = [result.text] if result.text else []
        parts += [f"[{n}] {source.title}\n{source.quote}" for n, source in zip(markers, result.sources, strict=True)]
        text = cut("\n\n".join(parts) or "(no output)", MAX_OBSERVATION_CHARS)
        tool = self.tools[name]
        return fenced(text, name, self.context.fence) if tool.untrusted else text


def _propose(tool: Tool, context: RunContext, query: str) -> Sequence[Any]:
    return tool.propose(query, context)


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and end with a note of what is missing between."""
    if len(text) <= limit:
        return text
    head, tail = limit * 3 // 4, limit // 4
    return f"{text[:head]}\n[… {len(text) - head - tail} characters cut …]\n{text[-tail:]}"


def arguments_of(arguments: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments as an object. Raises InvalidRequest with a sentence the model can act on."""
    if isinstance(arguments, Mapping):
        return arguments
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The arguments are not valid JSON ({error}); send one JSON object.") from None
    if isinstance(value, str):
        return arguments_of(value)
    if not isinstance(value, dict):
        raise InvalidRequest("The arguments must be one JSON object.")
    return value


def validate(tool: Tool, arguments: Mapping[str, Any]) -> BaseModel:
    """Arguments checked against the tool's schema; JSON text where an object or list belongs is decoded.

    Raises InvalidRequest naming the first field that does not fit.
    """
    try:
        return tool.Args.model_validate(dict(arguments))
    except ValidationError as error:
        repaired = dict(arguments)
        for problem in error.errors():
            key = problem["loc"][0] if problem["loc"] else None
            value = repaired.get(str(key))
            if isinstance(value, str):
                try:
                    repaired[str(key)] = orjson.loads(value)
                except orjson.JSONDecodeError:
                    continue
            elif isinstance(value, (dict, list)) and problem["type"] == "string_type":
                repaired[str(key)] = orjson.dumps(value).decode()
        try:
            return tool.Args.model_validate(repaired)
        except ValidationError:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "arguments"
            raise InvalidRequest(f"{where}: {first['msg']}.", param=f"arguments.{where}") from None


def schema_of(args: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of an argument model, as a model is shown it.

    Ollama drops `$ref` inside a property, so nested models must stand where they are used.
    """
    return inlined(args.model_json_schema())


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema with its references put in their places and its titles dropped."""
    definitions: Mapping[str, Any] = schema.get("$defs", {})

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return plain(definitions[str(node["$ref"]).rsplit("/", 1)[-1]])
        out: dict[str, Any] = {}
        for key, value in node.items():
            if key == "$defs" or (key == "title" and isinstance(value, str)):
                continue
            if key == "properties":
                out[key] = {name: plain(child) for name, child in value.items()}
            else:
                out[key] = plain(value)
        return out

    result: dict[str, Any] = plain(dict(schema))
    result.setdefault("properties", {})
    return result
