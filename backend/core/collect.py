"""Small helpers both agents share: reading a model's stream to its end, joining streams, counting a budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from backend.core.toolbox import cut
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, ToolCall, ToolCallMade, Usage
from backend.models.run import RunContext

Emit = Callable[[Event], None]
Job = Callable[[Emit], Awaitable[None]]

CHARS_PER_TOKEN = 4
"""A coarse rule for European languages; good enough to decide what must be shortened."""
ANSWER_SHARE = 0.15
"""Share of a run's time kept back for writing the answer."""
MAX_ANSWER_RESERVE_S = 30.0
MIN_OBSERVATION_CHARS = 1_000


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
    alarm = _Alarm()
    timer = asyncio.get_running_loop().call_later(max(0.0, deadline - time.monotonic()), alarm.ring)
    try:
        async with aclosing(stream):
            while not alarm.rung:
                with alarm:
                    event = await anext(stream, None)
                if event is None:
                    return
                yield event
            raise TimeoutError
    finally:
        timer.cancel()


class _Alarm:
    """Interrupts the task inside its `with` block when it rings, as TimeoutError; outside it only remembers."""

    __slots__ = ("_before", "_cancelled", "_waiting", "rung")

    def __init__(self) -> None:
        self.rung = False
        self._waiting: asyncio.Task[Any] | None = None
        self._cancelled = False
        self._before = 0

    def ring(self) -> None:
        self.rung = True
        if self._waiting is not None:
            self._cancelled = True
            self._waiting.cancel()

    def __enter__(self) -> None:
        self._waiting = task = asyncio.current_task()
        self._before = task.cancelling() if task is not None else 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        task, self._waiting = self._waiting, None
        if not self._cancelled or task is None:
            return
        # The cancellation was ours: take it back, unless somebody else asked for one meanwhile.
        self._cancelled = False
        if task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error


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
    """Seconds kept back for writing the answer."""

    def __post_init__(self) -> None:
        self.reserve_s = max(0.0, min(self.context.seconds_left() * ANSWER_SHARE, MAX_ANSWER_RESERVE_S))

    def count(self, event: Event) -> None:
        """Take note of a model call's usage."""
        if isinstance(event, Usage):
            self.tokens += event.prompt_tokens + event.completion_tokens
            self.last_prompt = event.prompt_tokens

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
        if self.tool_calls >= budget.tool_calls:
            return f"The run's budget of {budget.tool_calls} tool calls was used up."
        if self.tokens and self.tokens + self.last_prompt >= budget.tokens:
            return f"The run's budget of {budget.tokens} tokens was nearly used up."
        if self.context.seconds_left() <= self.reserve_s:
            return TIME_IS_UP
        return None


TIME_IS_UP = "The run's time was used up."


def shortened(messages: Sequence[Message], context_length: int) -> tuple[Message, ...]:
    """The messages, with tool turns cut where all together would not fit the model's window.

    `context_length` is in tokens, 0 when unknown (nothing is cut then). Three quarters of the window are for
    the prompt. Only tool turns are touched: the conversation is the task's to trim.
    """
    room = context_length * CHARS_PER_TOKEN * 3 // 4
    total = sum(len(message.content) for message in messages)
    results = [message for message in messages if message.role == "tool"]
    if room <= 0 or total <= room or not results:
        return tuple(messages)
    spoken = total - sum(len(message.content) for message in results)
    share = max(MIN_OBSERVATION_CHARS, (room - spoken) // len(results))
    return tuple(
        replace(message, content=cut(message.content, share)) if message.role == "tool" else message
        for message in messages
    )
