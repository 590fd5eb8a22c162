"""What travels through the plan-and-execute graph, and what its nodes have to do."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypedDict

from backend.core.plan import Step
from backend.models.messages import Message


class PlanState(TypedDict, total=False):
    """The state of the graph. Results are lists of `{id, tool, input, text, data, error}`."""

    messages: tuple[Message, ...]
    session_id: str | None
    user_id: str
    plan: tuple[Step, ...]
    tools_used: list[str]
    search_results: list[dict[str, Any]]
    rag_context: list[dict[str, Any]]
    data_analysis_results: list[dict[str, Any]]
    other_tool_results: list[dict[str, Any]]
    current_agent: str
    final_output: str
    verification_passed: bool
    iteration_count: int
    max_iterations: int


class Nodes(Protocol):
    """The work of the graph: each node takes the state and returns what it changes."""

    async def planning(self, state: PlanState) -> PlanState: ...
    async def tool_selection(self, state: PlanState) -> PlanState: ...
    async def tool_execution(self, state: PlanState) -> PlanState: ...
    async def reasoning(self, state: PlanState) -> PlanState: ...
    async def verification(self, state: PlanState) -> PlanState: ...

    def begins(self) -> Literal["new", "resumed"]:
        """Whether a plan has to be made, or one that waited for the caller goes on."""
        ...

    def executed(self) -> Literal["done", "waits"]:
        """Whether the steps have ended, or some wait for the caller's tools."""
        ...

    def verified(self) -> Literal["again", "done"]:
        """Whether another round is worth planning."""
        ...
