"""Runs that stopped for the results of the caller's own tools, found again when the results come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.core.checkpoint import run_of_call
from backend.models.errors import InvalidRequest, NotFound
from backend.models.messages import Message
from backend.models.run import Owner
from backend.storage.run_store import RunStore


@dataclass(frozen=True, slots=True)
class Session:
    """Where an exchange is kept. `id` None: nowhere."""

    id: str | None
    exists: bool
    history: tuple[Message, ...]
    """Stored turns to put before the request's own messages."""
    new: tuple[Message, ...]
    """Messages of the request that are not stored yet."""


@dataclass(frozen=True, slots=True)
class PausedRun:
    """A run that waits, with the results the caller has sent for it."""

    trace: Mapping[str, Any]
    results: tuple[Message, ...]

    @property
    def run_id(self) -> str:
        return str(self.trace["run_id"])

    @property
    def checkpoint(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.trace["checkpoint"]
        return found

    @property
    def agent(self) -> str:
        return str(self.checkpoint["agent"])

    def session(self, store: bool) -> Session:
        """The session the run belongs to; only the results are new to it."""
        session_id = self.trace.get("session_id") if store else None
        return Session(session_id, session_id is not None, (), self.results)


def trailing_results(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The tool messages at the end of a conversation."""
    start = len(messages)
    while start and messages[start - 1].role == "tool":
        start -= 1
    return tuple(messages[start:])


async def paused_run(runs: RunStore, owner: Owner, messages: Sequence[Message]) -> PausedRun | None:
    """The owner's run that waits for the results at the end of the conversation; None when there is none.

    A run that was not kept (`store: false`), was deleted, or is somebody else's is None as well: the conversation is
    then answered from what it shows. Raises InvalidRequest when results are missing.
    """
    results = trailing_results(messages)
    run_id = next((found for each in results if (found := run_of_call(each.tool_call_id or ""))), None)
    if run_id is None:
        return None
    try:
        trace = await runs.get(owner, run_id)
    except NotFound:
        return None
    checkpoint = trace.get("checkpoint")
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("agent"), str):
        return None
    missing = {str(each) for each in checkpoint.get("waiting", ())} - {each.tool_call_id for each in results}
    if missing:
        raise InvalidRequest(
            f"A result is missing for {', '.join(sorted(missing))}: send one tool message for every tool_call_id.",
            param="messages",
        )
    return PausedRun(trace, results)
