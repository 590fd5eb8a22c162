"""The calls of one ReAct turn: which are made here, which are refused, and which the caller has to make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from backend.core import prompts
from backend.core.bounds import MAX_ARGUMENT_CHARS, cut
from backend.core.checkpoint import caller_call_id
from backend.core.collect import Emit, Job
from backend.core.react_state import Progress
from backend.core.react_turns import Observation, Turn
from backend.core.tool_runs import fingerprint
from backend.core.toolbox import MAX_NAME_CHARS, MAX_OBSERVATION_CHARS, Toolbox, ToolOutcome
from backend.models.errors import InvalidRequest
from backend.models.messages import Message, ToolCall
from backend.models.tools import ToolResult
from backend.utils.untrusted import fenced

MAX_PARALLEL_TOOLS = 8
MAX_CALLS_PER_TURN = 32
MAX_ID_CHARS = 128


@dataclass(slots=True)
class Calls:
    """Sorts a turn's calls and gathers what came of them. The turn's own list is put in order on the way: names and
    arguments bounded, ids unique, arguments for the caller's tools as they will be sent."""

    at: Progress
    turn: Turn
    toolbox: Toolbox
    waiting: list[ToolCall] = field(default_factory=list)
    """Calls that only the caller can make."""
    _told: dict[str, ToolOutcome | str] = field(default_factory=dict)
    """What each call came to, by fingerprint: an outcome, or why it was not made."""
    _keys: list[str] = field(default_factory=list)
    """The fingerprint of each of the turn's calls."""
    _to_run: list[tuple[str, ToolCall]] = field(default_factory=list)

    def __post_init__(self) -> None:
        given, self.turn.calls = self.turn.calls[:MAX_CALLS_PER_TURN], []
        for call in _with_unique_ids(given, self.at.history):
            self._sort(call)

    def jobs(self) -> list[Job]:
        """The calls to be made here, to be run side by side."""
        return [self._job(key, call) for key, call in self._to_run]

    @property
    def failed(self) -> bool:
        """Whether not one of the calls came to anything. Valid when the jobs have ended."""
        return all(isinstance(each, str) or each.error for each in self._told.values()) and not self.waiting

    def seen(self) -> tuple[Observation | None, ...]:
        """What there is to say about each call; None for those that wait for the caller."""
        asked = {call.id for call in self.waiting}
        return tuple(
            None if call.id in asked else _observation(call, self._told[key])
            for call, key in zip(self.turn.calls, self._keys, strict=True)
        )

    def observations(self) -> list[Observation]:
        """The same where nobody has to wait."""
        return [each for each in self.seen() if each is not None]

    def _sort(self, call: ToolCall) -> None:
        at, theirs = self.at, call.name in self.toolbox.caller
        whole, call = len(call.arguments), _bounded(call)
        key = fingerprint(call.name, call.arguments)
        if key in self._keys:
            # Run once, and every id answered; of a caller's call the second is as if it had not been written.
            if not theirs:
                self._add(key, call)
            return
        reason = self._refusal(key, call, whole)
        if reason is None and theirs:
            call, reason = self._for_caller(call)
        self._add(key, call)
        if reason is not None:
            self._told[key] = at.tools.refuse(call.name, call.arguments, self.turn.thought, reason)
            return
        at.calls.add(key)
        if theirs:
            at.meter.tool_calls += 1
            self.waiting.append(call)
        else:
            self._to_run.append((key, call))

    def _add(self, key: str, call: ToolCall) -> None:
        self.turn.calls.append(call)
        self._keys.append(key)

    def _refusal(self, key: str, call: ToolCall, size: int) -> str | None:
        if size > MAX_ARGUMENT_CHARS:
            return prompts.TOO_LONG.format(size=size, limit=MAX_ARGUMENT_CHARS)
        if key in self.at.calls:
            self.at.refusals += 1
            return prompts.REPEATED_CALL.format(name=call.name)
        if self.at.meter.calls_left <= len(self._to_run):
            return prompts.NO_MORE_CALLS
        return None

    def _for_caller(self, call: ToolCall) -> tuple[ToolCall, str | None]:
        """The call as the caller gets it, or why it gets none."""
        try:
            given = self.toolbox.fitted_for_caller(call.name, call.arguments)
        except InvalidRequest as error:
            return call, f"Error: {error.message}"
        self.at.asked += 1
        made_id = caller_call_id(self.at.meter.context.run_id, self.at.asked)
        return ToolCall(made_id, call.name, orjson.dumps(given).decode()), None

    def _job(self, key: str, call: ToolCall) -> Job:
        async def run(emit: Emit) -> None:
            self._told[key] = await self.at.tools.call(
                emit, call.id, call.name, call.arguments, thought=self.turn.thought
            )

        return run


def observed_by_caller(at: Progress, call: ToolCall, thought: str, result: str | None) -> Observation:
    """What the caller's own tool gave, as quoted text: nobody here wrote it."""
    words = cut(prompts.NO_CALLER_RESULT if result is None else result, MAX_OBSERVATION_CHARS)
    content = fenced(words, call.name, at.meter.context.fence)
    at.tools.told(call.name, call.arguments, thought, content, words)
    return Observation(call, Message("tool", content, tool_call_id=call.id, name=call.name, result=ToolResult(words)))


def _observation(call: ToolCall, told: ToolOutcome | str) -> Observation:
    if isinstance(told, str):
        return Observation(call, Message("tool", told, tool_call_id=call.id, name=call.name))
    return Observation(call, told.as_message(call.id))


def _bounded(call: ToolCall) -> ToolCall:
    """The call with a name of bearable length, and a note where its arguments are too long to be kept."""
    arguments, size = call.arguments, len(call.arguments)
    if size > MAX_ARGUMENT_CHARS:
        arguments = orjson.dumps({"note": prompts.ARGUMENTS_LEFT_OUT.format(count=size)}).decode()
    return ToolCall(call.id, call.name[:MAX_NAME_CHARS], arguments)


def _with_unique_ids(calls: Sequence[ToolCall], history: Sequence[Message]) -> list[ToolCall]:
    """The calls with ids of their own: providers may leave them out or use one twice."""
    taken = {call.id for message in history for call in message.tool_calls}
    unique: list[ToolCall] = []
    for call in calls:
        given = call.id[:MAX_ID_CHARS]
        name, number = given, 0
        while not name or name in taken:
            number += 1
            name = f"{given or 'call'}_{number}"
        taken.add(name)
        unique.append(call if name == call.id else ToolCall(name, call.name, call.arguments))
    return unique
