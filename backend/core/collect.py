"""Small helpers both agents share: reading a model's stream to its end, joining streams, counting a budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from backend.core.bounds import cut
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, ToolCall, ToolCallMade, Usage
from backend.models.run import RunContext

Emit = Callable[[Event], None]
Job = Callable[[Emit], Awaitable[None]]

CHARS_PER_TOKEN = 4
"""A coarse rule for European languages; good enough to decide what must be shortened."""
ANSWER_SHARE = 0.15
"""Share of a run's time kept back for writing the answer."""
MAX_ANSWER_RESERVE_S = 30.0
MAX_TOOL_CALLS = 20
"""However much a budget allows: a model that obeys planted instructions must not go on for long."""
TOOL_SECONDS = 120.0
"""Wall time within which one run may call tools, however long the settings let its answer take: the security file's
INJ-2."""
MIN_OBSERVATION_CHARS = 1_000
LEAST_OBSERVATION_CHARS = 300
"""Even in the smallest window: room for the fence and a sentence."""


@dataclass(frozen=True, slots=True)
class Collected:
    """One whole model turn. `reason` is why it ended, as the provider said."""

    text: str
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    reason: str = "stop"


def _ignore(_event: Event) -> None:
    """Nobody is listening."""


async def collect(stream: AsyncGenerator[Event, None], emit: Emit = _ignore) -> Collected:
    """Read a model's stream to its end; thinking and usage are passed to `emit` as they come."""
    text: list[str] = []
    reasoning: list[str] = []
    calls: list[ToolCall] = []
    reason = "stop"
    async with aclosing(stream):
        async for event in stream:
            match event:
                case TextDelta():
                    text.append(event.text)
                case ReasoningDelta():
                    reasoning.append(event.text)
                    emit(event)
                case ToolCallMade():
                    calls.append(event.call)
                case Usage():
                    emit(event)
                case Finished():
                    reason = event.reason
                case _:
                    pass
    return Collected("".join(text), "".join(reasoning), tuple(calls), reason)


async def until(stream: AsyncGenerator[Event, None], deadline: float) -> AsyncGenerator[Event, None]:
    """The stream's events, raising TimeoutError when the next one does not come before `deadline`.

    `deadline` is a `time.monotonic()` value. Only our own waiting is interrupted, never the consumer's code
    between two events, which is why `asyncio.timeout` cannot span the loop; and one timer serves the whole
    stream, since a new one for every token costs four times as much as passing the token on.
    """
    alarm, loop, here = _Alarm(), asyncio.get_running_loop(), asyncio.current_task
    timer = loop.call_later(max(0.0, deadline - time.monotonic()), alarm.ring)
    try:
        async with aclosing(stream):
            # The task is asked for at every event, since the next one may be awaited by another.
            alarm.waiting = here(loop)
            async for event in stream:
                alarm.waiting = None
                yield event
                if alarm.rung:
                    raise TimeoutError
                alarm.waiting = here(loop)
    except asyncio.CancelledError as error:
        if alarm.taken_back():
            raise TimeoutError from error
        raise
    finally:
        alarm.waiting = None
        alarm.taken_back()
        timer.cancel()


class _Alarm:
    """Interrupts the task that is waiting when it rings; when none is, it only remembers."""

    __slots__ = ("_before", "_cancelled", "rung", "waiting")

    def __init__(self) -> None:
        self.rung = False
        self.waiting: asyncio.Task[Any] | None = None
        self._cancelled: asyncio.Task[Any] | None = None
        self._before = 0

    def ring(self) -> None:
        self.rung = True
        task = self.waiting
        if task is not None:
            self._before = task.cancelling()
            self._cancelled = task
            task.cancel()

    def taken_back(self) -> bool:
        """Whether a cancellation was ours alone. It is then taken back; somebody else's meanwhile stays."""
        task, self._cancelled = self._cancelled, None
        return task is not None and task.uncancel() <= self._before


async def interleave(jobs: Sequence[Job], limit: int = 1) -> AsyncGenerator[Event, None]:
    """Run jobs concurrently, at most `limit` at a time, and yield what they emit, in order of happening.

    Closing the generator cancels the jobs and waits until they are gone: no task outlives it. A job's
    exception is raised after all jobs have ended.
    """
    happened: asyncio.Queue[Event | None] = asyncio.Queue()
    gate = asyncio.Semaphore(limit)

    async def run(job: Job) -> None:
        try:
            async with gate:
                await job(happened.put_nowait)
        finally:
            happened.put_nowait(None)

    tasks = [asyncio.create_task(run(job)) for job in jobs]
    try:
        running = len(tasks)
        while running:
            event = await happened.get()
            if event is None:
                running -= 1
            else:
                yield event
        for task in tasks:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def all_or_none(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await all jobs side by side; when one raises or the caller is cancelled, cancel the others and wait for them."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class Meter:
    """What a run has used of its budget. Its sentences are for people: they become the `detail` of Finished."""

    context: RunContext
    tokens: int = 0
    tool_calls: int = 0
    last_prompt: int = 0
    """Prompt tokens of the latest model call: the next one costs at least about as much."""
    reserve_s: float = field(init=False)
    """Seconds before the run's deadline after which no tool is called any more: time kept back for the answer, and
    whatever a run has beyond TOOL_SECONDS."""

    def __post_init__(self) -> None:
        left = self.context.seconds_left()
        self.reserve_s = max(0.0, min(left * ANSWER_SHARE, MAX_ANSWER_RESERVE_S), left - TOOL_SECONDS)

    def count(self, event: Event) -> None:
        """Take note of a model call's usage."""
        if isinstance(event, Usage):
            self.tokens += event.prompt_tokens + event.completion_tokens
            self.last_prompt = event.prompt_tokens

    @property
    def calls_left(self) -> int:
        """Tool calls that may still be made."""
        return max(0, self.allowed_calls - self.tool_calls)

    @property
    def allowed_calls(self) -> int:
        return min(self.context.budget.tool_calls, MAX_TOOL_CALLS)

    def exhausted(self) -> str | None:
        """Why no further model call may be made, or None."""
        if self.context.seconds_left() <= 0:
            return TIME_IS_UP
        if self.tokens >= self.context.budget.tokens:
            return f"The run's budget of {self.context.budget.tokens} tokens was used up."
        return None

    def tools_exhausted(self) -> str | None:
        """Why no further tool may be called although the answer may still be written, or None."""
        budget = self.context.budget
        if not self.calls_left:
            return f"The run's budget of {self.allowed_calls} tool calls was used up."
        if self.tokens and self.tokens + self.last_prompt >= budget.tokens:
            return f"The run's budget of {budget.tokens} tokens was nearly used up."
        if self.context.seconds_left() <= self.reserve_s:
            return TIME_IS_UP
        return None


TIME_IS_UP = "The run's time was used up."


def shortened(messages: Sequence[Message], context_length: int) -> tuple[Message, ...]:
    """The messages, with tool turns cut where all together would not fit the model's window.

    `context_length` is in tokens, 0 when unknown (nothing is cut then). Three quarters of the window are for
    the prompt. Only tool turns are touched, the oldest first and most; the conversation is the task's to trim.
    """
    room = context_length * CHARS_PER_TOKEN * 3 // 4
    if room <= 0:
        return tuple(messages)
    groups = _results(messages)
    sizes = {at: len(messages[at].content) for group in groups for at in group}
    spoken = sum(_size(message) for message in messages) - sum(sizes.values())
    left = room - spoken
    if not sizes or sum(sizes.values()) <= left:
        return tuple(messages)
    least = max(LEAST_OBSERVATION_CHARS, min(MIN_OBSERVATION_CHARS, left // len(sizes)))
    older = sum(min(least, size) for size in sizes.values())
    limits: dict[int, int] = {}
    for group in reversed(groups):
        older -= sum(min(least, sizes[at]) for at in group)
        given = _shared([sizes[at] for at in group], left - older, least)
        limits.update(zip(group, given, strict=True))
        left -= sum(min(limits[at], sizes[at]) for at in group)
    return tuple(
        replace(message, content=cut(message.content, limits[at])) if at in limits else message
        for at, message in enumerate(messages)
    )


def _size(message: Message) -> int:
    return len(message.content) + len(message.reasoning) + sum(len(call.arguments) for call in message.tool_calls)


def _results(messages: Sequence[Message]) -> list[list[int]]:
    """Where the tool turns stand, those that answer one assistant turn together."""
    groups: list[list[int]] = []
    for at, message in enumerate(messages):
        if message.role == "tool":
            if not groups or groups[-1][-1] != at - 1:
                groups.append([])
            groups[-1].append(at)
    return groups


def _shared(sizes: Sequence[int], room: int, least: int) -> list[int]:
    """A limit for each size, so that all together stay within `room`: small ones whole, large ones alike."""
    waiting = sorted(sizes)
    share = room
    while waiting:
        share = room // len(waiting)
        if waiting[0] > share:
            break
        room -= waiting.pop(0)
    return [max(least, share) if waiting else size for size in sizes]
