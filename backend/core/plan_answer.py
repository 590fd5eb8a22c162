"""Writing the answer of a plan-and-execute run, outside the graph: its tokens go straight to the caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from backend.core import prompts
from backend.core.collect import CHARS_PER_TOKEN, TIME_IS_UP, until
from backend.core.plan_run import PlanRun
from backend.core.stream_watch import StreamWatch
from backend.models.errors import ModelFault
from backend.models.messages import Event, Finished, Message, TextDelta, ToolCallMade, Usage

ATTEMPTS = 2
NOT_CHECKED = {"verification": "not checked"}
"""In Finished.extra when nobody has judged whether the latest results suffice."""
REPEATING = "The model kept repeating itself and was stopped."


async def write_answer(run: PlanRun) -> AsyncGenerator[Event, None]:
    """The answer from the findings; asked for once more when it is empty, then the findings in plain words.

    Ends with Finished: `length` with the reason when a budget ended the run. The text is also in the run's state.
    """
    messages = run.answer_messages()
    detail = run.stopped
    for _ in range(ATTEMPTS):
        spent = run.meter.exhausted()
        if spent is not None:
            detail = spent
            break
        writing = _Writing(run)
        async with aclosing(writing.events(messages)) as events:
            async for event in events:
                yield event
        detail = writing.broken_off or detail
        if writing.text:
            run.state["final_output"] = "".join(writing.text)
            yield _finished(writing.finished, run, detail)
            return
        messages = (*messages, Message("user", prompts.EMPTY_ANSWER))
    words = run.findings.in_words()
    run.state["final_output"] = words
    yield TextDelta(words)
    yield Finished("length", detail or "The model wrote no answer.")


class _Writing:
    """One attempt: text is passed on as it comes, but for blanks in front of it; calls are not made."""

    def __init__(self, run: PlanRun) -> None:
        self.text: list[str] = []
        self.finished: Finished | None = None
        self.broken_off: str | None = None
        self._run = run
        self._counted = False

    async def events(self, messages: tuple[Message, ...]) -> AsyncGenerator[Event, None]:
        run, meter = self._run, self._run.meter
        watch = StreamWatch((run.context.budget.tokens - meter.tokens) * CHARS_PER_TOKEN)
        try:
            async with aclosing(until(run.model.stream(messages), run.context.deadline)) as events:
                async for event in events:
                    kind = type(event)
                    if kind is TextDelta:
                        text: str = event.text  # type: ignore[union-attr]
                        if not self.text:
                            text = text.lstrip()
                            if not text:
                                continue
                            event = TextDelta(text)
                        self.text.append(text)
                        yield event
                        if watch.feed(text):
                            self.broken_off = REPEATING if watch.looping else self._overdrawn()
                            break
                    elif kind is Finished:
                        self.finished = event  # type: ignore[assignment]
                    elif kind is not ToolCallMade:
                        self._counted = self._counted or kind is Usage
                        meter.count(event)
                        yield event
        except TimeoutError:
            self.broken_off = TIME_IS_UP
        except ModelFault:
            # What was found out is worth more than an error, as long as no word has been written.
            if self.text or not run.findings.taken:
                raise
        if self.broken_off is not None and not self._counted:
            usage = self._estimated(messages)
            meter.count(usage)
            yield usage

    def _overdrawn(self) -> str:
        return f"The run's budget of {self._run.context.budget.tokens} tokens was used up."

    def _estimated(self, messages: tuple[Message, ...]) -> Usage:
        """A guess at what an answer cost that was broken off before its counters came."""
        prompt = sum(len(message.content) for message in messages) // CHARS_PER_TOKEN
        written = sum(map(len, self.text)) // CHARS_PER_TOKEN
        return Usage(prompt, max(1, written), estimated=True)


def _finished(own: Finished | None, run: PlanRun, detail: str | None) -> Finished:
    uncovered = f"Not covered by the results: {'; '.join(run.uncovered)}." if run.uncovered else None
    extra = NOT_CHECKED if run.rounds.unchecked else {}
    if detail is not None:
        return Finished("length", " ".join(part for part in (detail, uncovered) if part), extra=extra)
    if own is None or own.reason == "tool_calls":
        return Finished("stop", uncovered, extra=extra)
    return Finished(own.reason, own.detail or uncovered, extra=extra)
