"""Existing LangChain tools, plugged in by name: `LANGCHAIN_TOOLS=package.module:Class,…`."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, ConfigDict

from backend.models.run import RunContext
from backend.models.tools import ToolResult
from backend.tools.mcp_text import MAX_DESCRIPTION_CHARS, SchemaRefused, argument_schema, plain, tool_name
from backend.tools.port import BaseTool, ToolServices, Unavailable

log = logging.getLogger("hearth.tools.langchain")

TIMEOUT_S = 60.0
MAX_TEXT_CHARS = 100_000


def create_source(services: ToolServices) -> LangChainTools:
    return LangChainTools(services.settings.langchain_tools)


class AnyArguments(BaseModel):
    """Stands where a class is asked for; the schema that counts is the tool's own."""

    model_config = ConfigDict(extra="allow")


class LangChainTool(BaseTool):
    """One LangChain tool. What it does is not known here: its text is a stranger's, its call may leave the machine."""

    Args: ClassVar[type[BaseModel]] = AnyArguments
    timeout_s = TIMEOUT_S
    untrusted = True
    outbound = True

    def __init__(self, inner: Any) -> None:
        """Raises SchemaRefused when its arguments cannot be described, or it has no usable name."""
        self.name = tool_name("", str(inner.name)).strip("_")
        if not self.name:
            raise SchemaRefused("it has no usable name")
        self.description = plain(str(inner.description or inner.name), MAX_DESCRIPTION_CHARS)
        self.parameters = argument_schema(_schema_of(inner))
        self._inner = inner

    async def run(self, arguments: dict[str, Any], context: RunContext) -> ToolResult:
        """`data` is the output where it is JSON of its own and no text."""
        from langchain_core.tools import ToolException

        try:
            # No callbacks of the surroundings: nobody follows this call but the server itself.
            output = await self._inner.ainvoke(arguments, config={"callbacks": []})
        except ToolException as error:
            return ToolResult(plain(str(error), 2_000), error=f"{self.name} reported an error.")
        text = _text_of(output)
        return ToolResult(plain(text, MAX_TEXT_CHARS), data=None if isinstance(output, str) else _data_of(output))


class LangChainTools:
    """The tools that the setting names. Nothing of LangChain is imported before they are asked for."""

    name = "langchain"

    def __init__(self, named: Sequence[str]) -> None:
        self._named = named
        self._task: asyncio.Task[tuple[list[LangChainTool], list[Unavailable]]] | None = None

    async def reach(self, seconds: float) -> None:
        """Import them, once, in a thread; wait for that at most so long."""
        if not self._named:
            return
        if self._task is None:
            self._task = asyncio.create_task(asyncio.to_thread(_load, self._named))
        await asyncio.wait([self._task], timeout=seconds)

    def tools(self) -> Sequence[LangChainTool]:
        return self._loaded()[0]

    def unavailable(self) -> Sequence[Unavailable]:
        if self._task is None or not self._task.done():
            reason = "it is being loaded: ask again in a moment"
            return [Unavailable(_label(each), "A LangChain tool.", reason) for each in self._named]
        return self._loaded()[1]

    async def aclose(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task], timeout=5.0)

    def _loaded(self) -> tuple[Sequence[LangChainTool], Sequence[Unavailable]]:
        if self._task is None or not self._task.done() or self._task.cancelled():
            return (), ()
        return self._task.result()


def _load(named: Sequence[str]) -> tuple[list[LangChainTool], list[Unavailable]]:
    """Each as a tool, or the reason why not."""
    tools: dict[str, LangChainTool] = {}
    refused: list[Unavailable] = []
    for each in named:
        made = _made(each)
        if isinstance(made, LangChainTool) and made.name not in tools:
            tools[made.name] = made
        else:
            reason = f"another LangChain tool is named {made.name}" if isinstance(made, LangChainTool) else made
            log.warning("LangChain tool %s is not available: %s", each, reason)
            refused.append(Unavailable(_label(each), f"The LangChain tool {each}.", reason))
    return list(tools.values()), refused


def _made(named: str) -> LangChainTool | str:
    """The tool, or a clause why there is none."""
    module_name, _, attribute = named.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        missing = error.name or module_name
        return f"it needs the Python package {missing}, which is not installed (optional group `community`)"
    except (SyntaxError, ValueError, TypeError, AttributeError, OSError, RuntimeError) as error:
        return f"its module failed while it was imported ({type(error).__name__})"
    found = getattr(module, attribute, None)
    if found is None:
        return f"the module {module_name} has nothing named {attribute}"
    try:
        return LangChainTool(_instance(found))
    except SchemaRefused as error:
        return str(error)
    except ImportError as error:
        return f"it needs the Python package {error.name}, which is not installed"
    except (ValueError, TypeError, AttributeError, OSError, RuntimeError, LookupError) as error:
        return f"it could not be made ({type(error).__name__}); it may need a key in the environment"


def _instance(found: Any) -> Any:
    """A class or function is called without arguments; anything else must be a tool already. Raises TypeError."""
    from langchain_core.tools import BaseTool as Base

    made: Any = found
    if isinstance(found, type) or inspect.isfunction(found):
        maker: Callable[[], Any] = found
        made = maker()
    if not isinstance(made, Base):
        raise TypeError("no LangChain tool")
    return made


def _schema_of(inner: Any) -> Mapping[str, Any]:
    """What a model is to fill in; arguments that LangChain itself injects are not among it."""
    described = inner.tool_call_schema
    if isinstance(described, Mapping):
        return described
    maker = getattr(described, "model_json_schema", None) or described.schema
    schema: Mapping[str, Any] = maker()
    return schema


def _text_of(output: Any) -> str:
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        parts = [part.get("text", "") if isinstance(part, Mapping) else part for part in output]
        if parts and all(isinstance(part, str) for part in parts):
            return "\n".join(parts)
    try:
        return orjson.dumps(output).decode()
    except (TypeError, orjson.JSONEncodeError):
        return str(output)


def _data_of(output: Any) -> Any:
    """The output as JSON values, or None where it is none."""
    try:
        return orjson.loads(orjson.dumps(output))
    except (TypeError, orjson.JSONEncodeError):
        return None


def _label(named: str) -> str:
    return named.rpartition(":")[2] or named
