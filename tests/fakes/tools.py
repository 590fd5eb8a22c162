"""Tiny tools: each does one thing a test needs, through the same port as the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, Field

from backend.core.toolbox import Toolbox, ToolRegistry
from backend.models.run import Owner, RunContext
from backend.models.tools import Proposal, Source, ToolResult
from backend.tools.port import BaseTool, Tool


class TextArgs(BaseModel):
    text: str = Field(description="Any text.")


class NoArgs(BaseModel):
    pass


class SleepArgs(BaseModel):
    seconds: float = Field(description="How long to sleep.")
    name: str = ""


class SumArgs(BaseModel):
    a: float
    b: float


class QueryArgs(BaseModel):
    query: str


class EchoTool(BaseTool):
    """Gives back its text. Remembers its arguments in `calls`."""

    name = "echo"
    description = "Gives back the text it is given."
    Args = TextArgs

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        self.calls.append(arguments.text)
        return ToolResult(arguments.text, data={"exact": arguments.text})

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        _, cue, rest = query.partition("echo ")
        return (Proposal({"text": rest.strip(" .?!")}, 0.95),) if cue else ()


class SumTool(BaseTool):
    """Adds two numbers."""

    name = "add"
    description = "Adds two numbers."
    Args = SumArgs

    def __init__(self) -> None:
        self.calls: list[tuple[float, float]] = []

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        self.calls.append((arguments.a, arguments.b))
        total = arguments.a + arguments.b
        return ToolResult(f"The sum is {total:g}.", data={"numeric": f"{total:g}"})


class SleepTool(BaseTool):
    """Sleeps. Counts what `started`, `finished` and was `cancelled`, by name; `together` is the most at once."""

    name = "sleep"
    description = "Sleeps for some seconds."
    Args = SleepArgs

    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        self.cancelled: list[str] = []
        self.together = 0

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        self.started.append(arguments.name)
        running = len(self.started) - len(self.finished) - len(self.cancelled)
        self.together = max(self.together, running)
        try:
            await asyncio.sleep(arguments.seconds)
        except asyncio.CancelledError:
            self.cancelled.append(arguments.name)
            raise
        self.finished.append(arguments.name)
        return ToolResult(f"slept {arguments.seconds:g} s {arguments.name}".strip())


class FailingTool(BaseTool):
    """Raises until it has failed `times` times, then works."""

    name = "failing"
    description = "Always fails."
    Args = NoArgs

    def __init__(self, times: int = 1_000, error: Callable[[], Exception] = lambda: RuntimeError("boom")) -> None:
        self.times = times
        self.calls = 0
        self._error = error

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        self.calls += 1
        if self.calls <= self.times:
            raise self._error()
        return ToolResult("it worked at last")


class BigTool(BaseTool):
    """Gives back far more text than a model should see."""

    name = "big"
    description = "Gives back a very long text."
    Args = NoArgs

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        return ToolResult("begin " + "x" * 200_000 + " end")


class LookupTool(BaseTool):
    """Finds one passage of an untrusted document; its text may hold anything."""

    name = "lookup"
    description = "Searches the documents."
    Args = QueryArgs
    untrusted = True

    def __init__(self, passage: str = "Employees have 30 days of vacation.") -> None:
        self.passage = passage
        self.calls: list[str] = []

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        self.calls.append(arguments.query)
        source = Source(
            "document", "handbook.pdf, p. 3", self.passage, "/files/f1/view#page=3", "f1", "handbook.pdf", 3
        )
        return ToolResult("1 passage found.", sources=(source,))

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        return (Proposal({"query": query}, 0.8),) if "vacation" in query.lower() else ()


FENCE = "f3nc3f3nc3f3nc3f3nc3"


def run_context(**changes: Any) -> RunContext:
    """A context of a run by a user `u1`; any field may be set."""
    fields: dict[str, Any] = {
        "owner": Owner("default", "u1"),
        "run_id": "run_1",
        "session_id": "session_1",
        "request_id": "req_1",
        "fence": FENCE,
    }
    return RunContext(**(fields | changes))


def toolbox_of(*tools: Tool, context: RunContext | None = None) -> Toolbox:
    """A toolbox with these tools."""
    return ToolRegistry(tools).toolbox(context if context is not None else run_context())
