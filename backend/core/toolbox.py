"""Finding the tools in the folder, and the one place where a tool is called."""

from __future__ import annotations

import asyncio
import difflib
import importlib
import logging
import pkgutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from backend.core.bounds import MAX_ARGUMENT_CHARS, bounded
from backend.core.bounds import cut as cut
from backend.core.guard import Guard
from backend.core.schema_fit import fitted, unwrapped
from backend.core.tool_sources import fit, merged
from backend.models.errors import HearthError, InvalidRequest, NotAllowed, NotFound, SettingsError, ToolUnavailable
from backend.models.messages import Message
from backend.models.run import Owner, RunContext
from backend.models.tools import Source, ToolResult, ToolSpec
from backend.tools.port import Tool, ToolServices, ToolSource, Unavailable
from backend.utils.untrusted import fenced, neutralise

log = logging.getLogger("hearth.tools")

MAX_OBSERVATION_CHARS = 12_000
"""About 3,000 tokens: what one tool result may take of the model's window."""
MAX_NAME_CHARS = 64
REACH_S = 3.0
"""How long a listing or a question waits for a source that has just been started."""
NEAR_ENOUGH = 0.6
"""Likeness in [0, 1] from which a tool's name is suggested for a wrong one."""


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
    permanent: bool = False
    """An error that the same call would bring again: no such tool, not available, arguments that do not fit."""

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

    def __init__(
        self, tools: Iterable[Tool], unavailable: Iterable[Unavailable] = (), sources: Iterable[ToolSource] = ()
    ) -> None:
        """Raises SettingsError when two tools share a name."""
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise SettingsError(f"Two tools are named {tool.name}: rename or remove one in backend/tools.")
            self._tools[tool.name] = tool
        self._unavailable = {each.name: each for each in unavailable if each.name not in self._tools}
        self.sources = tuple(sources)
        self._schemas: dict[str, dict[str, Any]] = {}

    @classmethod
    def discover(cls, services: ToolServices, package: str = "backend.tools") -> ToolRegistry:
        """Every module of the package that has `create(services)`; one whose library is absent is Unavailable."""
        tools: list[Tool] = []
        unavailable: list[Unavailable] = []
        sources: list[ToolSource] = []
        folder = importlib.import_module(package)
        for found in sorted(pkgutil.iter_modules(folder.__path__), key=lambda module: module.name):
            try:
                module = importlib.import_module(f"{package}.{found.name}")
            except ImportError as error:
                reason = f"needs the Python package {error.name}, which is not installed"
                unavailable.append(Unavailable(found.name, "", reason))
                continue
            create_source: Callable[[ToolServices], ToolSource] | None = getattr(module, "create_source", None)
            if create_source is not None:
                sources.append(create_source(services))
            create: Callable[[ToolServices], Tool | Unavailable] | None = getattr(module, "create", None)
            if create is None:
                continue
            made = create(services)
            if isinstance(made, Unavailable):
                unavailable.append(made)
            else:
                tools.append(made)
        return cls(tools, unavailable, sources)

    @property
    def tools(self) -> Mapping[str, Tool]:
        """What can be called now, by name."""
        return merged(self._tools, self._unavailable, self.sources)[0] if self.sources else self._tools

    @property
    def unavailable(self) -> Mapping[str, Unavailable]:
        """What cannot, by name."""
        return merged(self._tools, self._unavailable, self.sources)[1] if self.sources else self._unavailable

    async def reach(self, seconds: float = REACH_S) -> None:
        """Begin to reach the sources that have not been reached; wait at most so long for those just begun."""
        await asyncio.gather(*(source.reach(seconds) for source in self.sources))

    def of(self, owner: Owner) -> dict[str, Tool]:
        """The tools this user may know of."""
        return {name: tool for name, tool in self.tools.items() if tool.allows(owner)}

    def unavailable_of(self, owner: Owner) -> dict[str, Unavailable]:
        """What cannot be called now, as far as this user may know of it."""
        return {n: each for n, each in self.unavailable.items() if each.allows is None or each.allows(owner)}

    def find(self, name: str, owner: Owner | None = None) -> Tool:
        """A tool, for a user if one is given.

        Raises NotFound for an unknown tool, ToolUnavailable with the reason for one that cannot work here.
        """
        tools = self.tools if owner is None else self.of(owner)
        if name in tools:
            return tools[name]
        unavailable = self.unavailable if owner is None else self.unavailable_of(owner)
        if name in unavailable:
            raise ToolUnavailable(f"The tool {name} is not available here: {unavailable[name].reason}.")
        raise NotFound(f"There is no tool named {name[:64]!r}; the tools are {', '.join(tools)}.")

    def toolbox(
        self, context: RunContext, allowed: Collection[str] | None = None, caller: Sequence[ToolSpec] = ()
    ) -> Toolbox:
        """The tools one run may use: those its context allows, or those named; and the caller's own, which win over
        ours of that name."""
        theirs = {spec.name: spec for spec in caller}
        allowed = context.allowed_tools if allowed is None else allowed
        mine = self.of(context.owner).items()
        tools = {n: t for n, t in mine if n not in theirs and (allowed is None or n in allowed)}
        return Toolbox(tools, context, self.schema, caller=theirs)

    def withdraw(self, name: str, reason: str) -> None:
        """A tool turned out not to work here after all: from now on it is listed with the reason instead."""
        tool = self._tools.pop(name, None)
        if tool is not None:
            self._unavailable[name] = Unavailable(name, tool.description, reason)

    async def aclose(self) -> None:
        """Let every tool go of its connections and processes."""
        held: list[Tool | ToolSource] = [*self._tools.values(), *self.sources]
        await asyncio.gather(*(each.aclose() for each in held))

    def schema(self, name: str) -> dict[str, Any]:
        """The JSON schema of a tool's arguments; made once, as making it costs a millisecond."""
        tool = self._tools.get(name)
        if tool is None or tool.parameters is not None:
            return parameters_of(self.tools[name] if tool is None else tool)
        if name not in self._schemas:
            self._schemas[name] = schema_of(tool.Args)
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
    guard: Guard = field(default_factory=Guard)

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
                self._parameters(tool),
                partial(_propose, tool, self.context),
            )
            for tool in self.tools.values()
        )
        return (*ours, *self.caller.values())

    def _parameters(self, tool: Tool) -> Mapping[str, Any]:
        at_hand = self.schema is not None and tool.parameters is None
        return self.schema(tool.name) if at_hand and self.schema else parameters_of(tool)

    async def call(self, name: str, arguments: str | Mapping[str, Any]) -> ToolOutcome:
        """Run a tool for the model: whatever goes wrong becomes an outcome with `error`, never an exception.

        Cancelling the call cancels the tool. One of the two broad excepts of the house.
        """
        started_at, clock = time.time(), time.perf_counter()
        given: Mapping[str, Any] = arguments if isinstance(arguments, Mapping) else {}
        permanent = False
        try:
            tool = self.tools.get(name)
            if tool is None:
                raise NotFound(self.unknown(name))
            given = arguments_of(arguments)
            checked = validate(tool, given)
            self.guard.check(tool, checked, self.context, self.sources)
            limit = min(tool.timeout_s, max(0.1, self.context.seconds_left()))
            async with asyncio.timeout(limit):
                result = bounded(await tool.run(checked, self.context))
            self.guard.read_untrusted |= tool.untrusted
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled the run: the tool did that to itself.
            result = ToolResult("", error=f"{name} was broken off unexpectedly.")
        except TimeoutError:
            result = ToolResult("", error=f"{name} took too long and was stopped.")
        except HearthError as error:
            permanent = isinstance(error, (InvalidRequest, NotFound, NotAllowed, ToolUnavailable))
            result = ToolResult("", error=error.message)
        except Exception:
            log.exception("tool %s failed", name)
            result = ToolResult("", error=f"{name} failed unexpectedly; the server's log says why.")
        name = name[:MAX_NAME_CHARS]
        seconds = time.perf_counter() - clock
        markers = tuple(self.cite(source) for source in result.sources)
        observation = self._observe(name, result, markers)
        return ToolOutcome(name, given, result, observation, started_at, seconds, markers, permanent)

    def unknown(self, name: str) -> str:
        """A sentence for a model that asked for a tool there is not: what it may have meant, and what there is."""
        near = difflib.get_close_matches(name[:MAX_NAME_CHARS].lower(), self.names, 1, NEAR_ENOUGH)
        meant = f" (did you mean {near[0]}?)" if near else ""
        return f"There is no tool named {name[:MAX_NAME_CHARS]!r}{meant}; the tools are {', '.join(self.names)}."

    def fitted_for_caller(self, name: str, arguments: str) -> dict[str, Any]:
        """The arguments of a call of a caller's tool, put right where nothing is lost by it.

        Raises InvalidRequest with a sentence the model can act on.
        """
        return fitted(arguments_of(arguments), self.caller[name].parameters)

    def cite(self, source: Source) -> int:
        """The marker number of a source, from 1; the same source keeps its number for the whole run."""
        if source in self.sources:
            return self.sources.index(source) + 1
        self.sources.append(source)
        return len(self.sources)

    def _observe(self, name: str, result: ToolResult, markers: Sequence[int]) -> str:
        if result.error is not None:
            error, tool = f"Error: {neutralise(result.error)}", self.tools.get(name)
            if tool is None or not tool.untrusted or not result.text:
                return error
            return f"{error}\n{fenced(cut(result.text, MAX_OBSERVATION_CHARS), name, self.context.fence)}"
        parts = [result.text] if result.text else []
        parts += [f"[{n}] {source.title}\n{source.quote}" for n, source in zip(markers, result.sources, strict=True)]
        text = cut("\n\n".join(parts) or "(no output)", MAX_OBSERVATION_CHARS)
        tool = self.tools[name]
        return fenced(text, name, self.context.fence) if tool.untrusted else text


def _propose(tool: Tool, context: RunContext, query: str) -> Sequence[Any]:
    return tool.propose(query, context)


def arguments_of(arguments: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments as an object. Raises InvalidRequest with a sentence the model can act on."""
    if isinstance(arguments, Mapping):
        return arguments
    if len(arguments) > MAX_ARGUMENT_CHARS:
        raise InvalidRequest(
            f"The arguments are too long ({len(arguments)} characters): at most {MAX_ARGUMENT_CHARS} are taken."
        )
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The arguments are not valid JSON ({error}); send one JSON object.") from None
    if isinstance(value, str):
        return arguments_of(value)
    if not isinstance(value, dict):
        raise InvalidRequest("The arguments must be one JSON object.")
    return value


def validate(tool: Tool, arguments: Mapping[str, Any]) -> BaseModel | dict[str, Any]:
    """Arguments checked against the tool's schema, and put right where nothing is lost by it: JSON text where an
    object, list, number or truth value belongs, a value where its text belongs, null or a field too many.

    Raises InvalidRequest naming the first field that does not fit.
    """
    if tool.parameters is not None:
        return fit(arguments, tool.parameters)
    try:
        return tool.Args.model_validate(dict(arguments))
    except ValidationError as error:
        repaired = dict(unwrapped(arguments, {"properties": tool.Args.model_fields}))
        for problem in error.errors():
            _repair(repaired, str(problem["loc"][0]) if problem["loc"] else "", problem["type"])
        try:
            return tool.Args.model_validate(repaired)
        except ValidationError:
            first = error.errors()[0]
            where = ".".join(str(part)[:MAX_NAME_CHARS] for part in first["loc"]) or "arguments"
            raise InvalidRequest(f"{where}: {first['msg']}.", param=f"arguments.{where}") from None


def _repair(given: dict[str, Any], key: str, problem: str) -> None:
    """Put one field right that pydantic complained of, if that can be done without guessing."""
    value = given.get(key)
    if problem == "extra_forbidden" or (value is None and problem != "missing"):
        given.pop(key, None)
    elif problem == "string_type":
        given[key] = orjson.dumps(value).decode()
    elif isinstance(value, str):
        try:
            given[key] = orjson.loads(value)
        except orjson.JSONDecodeError:
            return


def parameters_of(tool: Tool) -> dict[str, Any]:
    """The JSON schema of a tool's arguments, made anew."""
    return dict(tool.parameters) if tool.parameters is not None else schema_of(tool.Args)


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
