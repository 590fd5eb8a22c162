"""The port every agent implements. An agent is one file in this folder with a module-level `create_agent`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from backend.core.toolbox import Toolbox
from backend.llm.port import Model
from backend.models.messages import Event, Message
from backend.models.run import RunContext


@dataclass(frozen=True, slots=True)
class ReActStep:
    """One tool call of a run, as traces show it. Times in seconds; `started_at` since the epoch."""

    thought: str
    action: str
    action_input: Mapping[str, Any]
    observation: str
    error: str | None
    started_at: float
    seconds: float


class Agent(Protocol):
    """A policy that loops between a model and tools. One instance serves one run.

    A module that holds an agent has `create_agent(model: Model, toolbox: Toolbox) -> Agent`, and its class the
    two attributes below, so that a new agent is one new file.
    """

    name: ClassVar[str]
    when_to_use: ClassVar[str]
    """One sentence for the router and for people."""

    def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        """Answer the last user message. Yields ReasoningDelta, StepPlanned, ToolStarted, ToolFinished, TextDelta,
        Usage (one per model call) and ends with exactly one Finished. Citations are the task's business.
        """
        ...

    def get_trace(self) -> Sequence[ReActStep]: ...


class AgentFactory(Protocol):
    def __call__(self, model: Model, toolbox: Toolbox) -> Agent: ...
