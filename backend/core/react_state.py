"""Where a ReAct run stands between two turns, and how it is written down while the caller runs tools of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.core.checkpoint import messages_from_json, messages_to_json
from backend.core.collect import Meter
from backend.core.react_turns import Dialect, Observation, Turn
from backend.core.stream_watch import StreamWatch
from backend.core.tool_runs import ToolRuns
from backend.models.errors import StorageFailed
from backend.models.messages import Message, ToolCall

VERSION = 1
_COUNTERS = ("number", "repairs", "refusals", "failures", "unreadable", "asked")
_FLAGS = ("retried", "corrected")


@dataclass(slots=True)
class Progress:
    """The history is free of any dialect, see Dialect."""

    dialect: Dialect
    history: list[Message]
    meter: Meter
    tools: ToolRuns
    watch: StreamWatch = field(default_factory=StreamWatch)
    """Over the text of the latest turn."""
    limit: int = 1
    """Turns the model may have."""
    number: int = 0
    """Turns the model has had, without those that could not be used and were repaired."""
    repairs: int = 0
    """Turns that were repaired."""
    calls: set[str] = field(default_factory=set)
    """Calls already made, in canonical form."""
    refusals: int = 0
    failures: int = 0
    """Turns in a row of which every call failed."""
    unreadable: int = 0
    """Turns of the JSON dialect that were none."""
    asked: int = 0
    """Calls of the caller's tools so far."""
    forced: bool = False
    """The next turn is offered no tools: it has to answer."""
    detail: str | None = None
    """The budget that forced it, in words."""
    lead: str = ""
    """Goes between what was streamed in earlier turns and the next piece of the answer."""
    aside: list[Message] = field(default_factory=list)
    """What the model is told about its last turn; forgotten after the next."""
    retried: bool = False
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A turn that waits for the caller. `seen` holds an observation for each call that is answered already."""

    turn: Turn
    seen: tuple[Observation | None, ...]

    @property
    def waiting(self) -> list[ToolCall]:
        return [call for call, seen in zip(self.turn.calls, self.seen, strict=True) if seen is None]


def to_checkpoint(at: Progress, pending: Pending) -> dict[str, Any]:
    """The run as a JSON object, see Finished.checkpoint."""
    turn = pending.turn
    answered = [each.message for each in pending.seen if each is not None]
    return {
        "version": VERSION,
        "waiting": [call.id for call in pending.waiting],
        "dialect": at.dialect.name,
        "history": messages_to_json([*at.history, _assistant(turn)]),
        "thought": turn.thought,
        "seen": messages_to_json(answered),
        "calls": sorted(at.calls),
        "detail": at.detail,
        "tokens": at.meter.tokens,
        "tool_calls": at.meter.tool_calls,
        "last_prompt": at.meter.last_prompt,
        "found": [list(each) for each in at.tools.found],
        "started": at.tools.started,
        **{name: getattr(at, name) for name in (*_COUNTERS, *_FLAGS)},
    }


def from_checkpoint(kept: Mapping[str, Any], at: Progress) -> Pending:
    """Fill `at`, whose dialect and meter are new, with what was written down; returns the turn that waits.

    Raises StorageFailed when it is not what `to_checkpoint` writes.
    """
    try:
        history = messages_from_json(kept["history"])
        asked = history.pop()
        seen = {message.tool_call_id: message for message in messages_from_json(kept["seen"])}
        for name in _COUNTERS:
            setattr(at, name, int(kept[name]))
        for name in _FLAGS:
            setattr(at, name, bool(kept[name]))
        at.calls = {str(each) for each in kept["calls"]}
        at.detail = kept["detail"]
        at.meter.tokens, at.meter.tool_calls = int(kept["tokens"]), int(kept["tool_calls"])
        at.meter.last_prompt = int(kept["last_prompt"])
        at.tools.found = [(str(tool), str(words)) for tool, words in kept["found"]]
        at.tools.started = int(kept["started"])
        thought = str(kept["thought"])
    except (KeyError, TypeError, ValueError, IndexError):
        raise StorageFailed("The paused run cannot be read any more: ask again from the beginning.") from None
    at.history = history
    turn = Turn(said=asked.content, thought=thought, reasoning=asked.reasoning, calls=list(asked.tool_calls))
    told = [seen.get(call.id) for call in turn.calls]
    observations = [
        None if message is None else Observation(call, message) for call, message in zip(turn.calls, told, strict=True)
    ]
    return Pending(turn, tuple(observations))


def _assistant(turn: Turn) -> Message:
    return Message("assistant", turn.said, tool_calls=tuple(turn.calls), reasoning=turn.reasoning)


def results_by_call(messages: Sequence[Message]) -> dict[str | None, str]:
    """The caller's results at the end of a conversation, by call id; of two for one call the first counts."""
    results: dict[str | None, str] = {}
    for message in reversed(messages):
        if message.role != "tool":
            break
        results[message.tool_call_id] = message.content
    return results
