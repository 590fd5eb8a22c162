"""One run of the whole-document agent: reading, notes on every part, merging them, and the last call's messages."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from backend.core import prompts
from backend.core import whole_document_prompts as texts
from backend.core.agent import ReActStep
from backend.core.collect import TIME_IS_UP, Emit, Job, Meter, until
from backend.core.findings import query_of, with_query
from backend.core.stream_watch import StreamWatch
from backend.core.tool_runs import ToolRuns
from backend.core.toolbox import Toolbox
from backend.core.whole_document_cues import READER, Whole
from backend.core.whole_document_text import (
    CHARS_PER_TOKEN,
    Passage,
    Window,
    batches,
    window_chars,
    windows_of,
    without_foreign_markers,
)
from backend.llm.port import Model, Sampling
from backend.models.errors import HearthError
from backend.models.messages import (
    Event,
    Finished,
    Message,
    StepPlanned,
    StepStatus,
    TextDelta,
    ToolFinished,
    ToolStarted,
    Usage,
)
from backend.models.run import RunContext
from backend.utils.untrusted import fenced

AT_ONCE = 2
"""Parts that are worked on side by side: a model on one machine gains nothing by more."""
MAX_CALLS = 60
"""Of the model in one run, whatever the budget allows."""
READ_CHARS = 60_000
"""Asked of the reader at once."""
MAX_MARKERS = 999
"""Citations have three digits."""
MAX_NOTE_CHARS = 6_000
"""Of one part; what a model writes beyond is no note."""
MAX_TRANSLATED_CHARS = 24_000
NOTE_TOKENS = 500
"""What the notes on a part cost, and the instructions about as much."""
KEPT_FOR_ANSWER = 0.3
"""Share of the run's tokens for merging and answering."""
TIME_FOR_ANSWER = 0.25
MAX_TIME_FOR_ANSWER_S = 60.0
ATTEMPTS = 2
MAX_ROUNDS = 4
"""Of merging notes."""
SOURCE = "the user's documents"
NOTES = Sampling(temperature=0.1)


@dataclass(slots=True)
class Part:
    """A window and what came of it. `notes` is None until it has been worked on."""

    window: Window
    notes: str | None = None
    failed: bool = False


@dataclass(slots=True)
class WholeRun:
    """The state of a run. Its generators and jobs end with the run's time and are cancelled with it."""

    model: Model
    toolbox: Toolbox
    context: RunContext
    conversation: tuple[Message, ...]
    task: Whole
    meter: Meter
    tools: ToolRuns
    passages: list[Passage] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    problem: str = ""
    """Why nothing could be read, in a sentence."""
    unread: list[str] = field(default_factory=list)
    """Files, or what of them, that no call was left for."""
    error: HearthError | None = None
    """What the model's provider said last."""
    calls: int = 0
    stopped: str | None = None
    """The budget that ended the reading, in words."""
    _readable: int = 0
    """Parts that the budget allows to be worked on."""

    @property
    def query(self) -> str:
        return query_of(self.conversation)

    # ---- reading ----------------------------------------------------------------------------------

    async def read(self, emit: Emit) -> None:
        """Read the documents through the reader, as many parts as calls are left for."""
        for name in self.task.files:
            part, parts = 1, 1
            while part <= parts:
                if self.meter.tools_exhausted() is not None or len(self.passages) >= MAX_MARKERS:
                    self.unread.append(name if part == 1 else f"{name} ({part}-{parts})")
                    break
                arguments: dict[str, Any] = {"files": [name], "part": part, "size": READ_CHARS}
                call_id = f"read-{self.tools.started + 1}"
                outcome = await self.tools.call(emit, call_id, READER, arguments)
                if outcome.error is not None:
                    self.problem = outcome.error
                    break
                sources = outcome.result.sources
                self.passages += [Passage(n, source) for n, source in zip(outcome.markers, sources, strict=True)]
                data = outcome.result.data
                parts = int(data["parts"]) if isinstance(data, dict) and "parts" in data else parts
                part += 1
        del self.passages[MAX_MARKERS:]

    def window_chars(self) -> int:
        return window_chars(self.model.info.context_length, translating=self.task.kind == "translate")

    def fits(self) -> bool:
        """Whether one call can read everything and answer."""
        return sum(each.size for each in self.passages) <= self.window_chars()

    # ---- notes on every part ------------------------------------------------------------------------

    def divide(self) -> None:
        """The parts, as many of them from the beginning as the budget allows."""
        windows = windows_of(self.passages, self.window_chars(), by_file=self.task.kind == "compare")
        budget = int(self.context.budget.tokens * (1 - KEPT_FOR_ANSWER)) - self.meter.tokens
        spent, kept = 0, 0
        for window in windows[: MAX_CALLS * 3 // 4]:
            written = window.size // CHARS_PER_TOKEN if self.task.kind == "translate" else NOTE_TOKENS
            spent += window.size // CHARS_PER_TOKEN + NOTE_TOKENS + written
            if spent > budget and kept:
                break
            kept += 1
        self.parts = [Part(window) for window in windows]
        if kept < len(windows):
            self.stopped = f"The documents are too long for one run: {kept} of {len(windows)} parts were read."
        self._readable = kept

    def planned(self) -> list[StepPlanned]:
        """The parts that will be worked on, as steps."""
        first = self.tools.started
        return [
            StepPlanned(
                self._id(number), first + number, READER, self._arguments(number), purpose=self._purpose(number)
            )
            for number in range(self._readable)
        ]

    def jobs(self) -> list[Job]:
        first = self.tools.started
        self.tools.started += self._readable
        return [self._job(number, first + number) for number in range(self._readable)]

    def _id(self, number: int) -> str:
        return f"part-{number + 1}"

    def _purpose(self, number: int) -> str:
        return f"part {number + 1} of {len(self.parts)}: {self.parts[number].window.places}"

    def _arguments(self, number: int) -> dict[str, Any]:
        window = self.parts[number].window
        names = list(dict.fromkeys(each.filename for each in window.passages))
        return {"files": names, "part": f"{number + 1} of {len(self.parts)}", "pages": window.places}

    def _job(self, number: int, index: int) -> Job:
        async def run(emit: Emit) -> None:
            part, arguments = self.parts[number], self._arguments(number)
            if self._no_time_left():
                self.stopped = self.stopped or TIME_IS_UP
                return
            if self.calls >= MAX_CALLS or self.meter.exhausted() is not None:
                self.stopped = self.stopped or self.meter.exhausted() or "The run's limit of model calls was reached."
                return
            started_at, clock = time.time(), time.perf_counter()
            emit(ToolStarted(self._id(number), index, READER, arguments, started_at))
            status: StepStatus = "cancelled"
            problem: str | None = "It was broken off."
            try:
                problem = await self._note(part, number, emit)
                status = "failed" if problem else "completed"
            finally:
                seconds = time.perf_counter() - clock
                output = part.notes or ""
                emit(
                    ToolFinished(
                        self._id(number), index, READER, arguments, status, output, started_at, seconds, problem
                    )
                )
                purpose = self._purpose(number)
                self.tools.steps.append(ReActStep(purpose, READER, arguments, output, problem, started_at, seconds))

        return run

    async def _note(self, part: Part, number: int, emit: Emit) -> str | None:
        """Have a part's notes written, with a second attempt; the problem in words when both fail."""
        kind = self.task.kind
        system = texts.MAP_SYSTEM.format(
            part=number + 1,
            parts=len(self.parts),
            task=texts.MAP_TASKS[kind],
            first=part.window.passages[0].marker,
            none=texts.NONE,
        )
        text = fenced(part.window.as_read(), SOURCE, self.context.fence)
        asked = texts.MAP_USER.format(query=self.query, part=number + 1, parts=len(self.parts), text=text)
        most = MAX_TRANSLATED_CHARS if kind == "translate" else MAX_NOTE_CHARS
        problem = "The model wrote nothing."
        for _ in range(ATTEMPTS):
            try:
                notes = await self.ask(system, asked, self._id(number), emit, most)
            except TimeoutError:
                self.stopped = self.stopped or TIME_IS_UP
                part.failed = True
                return TIME_IS_UP
            except HearthError as error:
                self.error, problem = error, error.message
                continue
            if notes:
                part.notes = without_foreign_markers(notes, [each.marker for each in part.window.passages])
                return None
        part.failed = True
        return problem

    # ---- merging ------------------------------------------------------------------------------------

    async def merge(self, notes: list[str], emit: Emit) -> list[str]:
        """Fewer and shorter notes, until all together fit one window; those that cannot be merged stay."""
        room = self.window_chars()
        for _ in range(MAX_ROUNDS):
            if sum(map(len, notes)) <= room or len(notes) < 2:
                break
            shorter = [
                await self._merged(group, emit) if len(group) > 1 else group[0] for group in batches(notes, room)
            ]
            if len(shorter) == len(notes) and sum(map(len, shorter)) >= sum(map(len, notes)):
                break
            notes = shorter
        total = sum(map(len, notes))
        return notes if total <= room else [each[: max(200, len(each) * room // total)] for each in notes]

    async def _merged(self, group: Sequence[str], emit: Emit) -> str:
        joined = "\n".join(group)
        if self._no_time_left() or self.calls >= MAX_CALLS or self.meter.exhausted() is not None:
            return joined
        quoted = fenced(joined, "notes", self.context.fence)
        asked = texts.REDUCE_USER.format(query=self.query, notes=quoted)
        try:
            text = await self.ask(texts.REDUCE_SYSTEM, asked, "merge", emit, MAX_NOTE_CHARS)
        except (TimeoutError, HearthError):
            return joined
        return without_foreign_markers(text, [each.marker for each in self.passages]) or joined

    # ---- the model ------------------------------------------------------------------------------------

    async def ask(self, system: str, asked: str, step: str, emit: Emit, most: int) -> str:
        """One call whose text is for us alone. Raises TimeoutError at the end of the run's time, HearthError."""
        self.calls += 1
        said: list[str] = []
        counted = False
        watch = StreamWatch(most)
        messages = (Message("system", system), Message("user", asked))
        stream = self.model.stream(messages, sampling=NOTES, step=step)
        async with aclosing(until(stream, self.context.deadline - self._reserve_s())) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    said.append(event.text)
                    if watch.feed(event.text):
                        break
                elif isinstance(event, Usage):
                    counted = True
                    self.count(event, emit)
        text = "".join(said)
        if not counted:
            prompt = (len(system) + len(asked)) // CHARS_PER_TOKEN
            self.count(Usage(prompt, max(1, len(text) // CHARS_PER_TOKEN), step=step, estimated=True), emit)
        return text.strip()

    def count(self, usage: Usage, emit: Emit) -> None:
        self.meter.count(usage)
        emit(usage)

    def answer_messages(self, notes: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
        """The last call: the conversation with the text itself, or with the notes on it as (of what, notes)."""
        read = texts.READ_NOTES if notes else texts.READ_TEXT
        system = texts.ANSWER_SYSTEM.format(
            read=read, rules=prompts.answer_rules(self.context), task=texts.ANSWER_TASKS[self.task.kind]
        )
        if notes:
            # Names of files are somebody's words too.
            quoted = "\n\n".join(
                fenced(f"{name}:\n{text}", "notes on documents", self.context.fence) for name, text in notes
            )
        else:
            quoted = fenced(Window(tuple(self.passages)).as_read(), SOURCE, self.context.fence)
        asked = with_query(self.conversation, lambda query: texts.ANSWER_USER.format(query=query, text=quoted))
        return (Message("system", system), *asked)

    async def write(self, messages: tuple[Message, ...], told: Told) -> AsyncGenerator[Event, None]:
        """The answer as it is written. What became of it is in `told`; errors are raised while nothing is written."""
        self.calls += 1
        watch = StreamWatch(max(1_000, self.context.budget.tokens - self.meter.tokens) * CHARS_PER_TOKEN)
        counted = False
        try:
            async with aclosing(until(self.model.stream(messages), self.context.deadline)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        text = event.text if told.text else event.text.lstrip()
                        if not text:
                            continue
                        told.text.append(text)
                        yield TextDelta(text)
                        if watch.feed(text):
                            told.detail = "The model repeated itself without end, or wrote too much, and was stopped."
                            break
                    elif isinstance(event, Finished):
                        told.finished = event
                    elif isinstance(event, Usage):
                        counted = True
                        self.meter.count(event)
                        yield event
        except TimeoutError:
            told.detail = TIME_IS_UP
        if not counted:
            prompt = sum(len(message.content) for message in messages) // CHARS_PER_TOKEN
            usage = Usage(prompt, max(1, sum(map(len, told.text)) // CHARS_PER_TOKEN), estimated=True)
            self.meter.count(usage)
            yield usage

    def _reserve_s(self) -> float:
        """Seconds kept back for the answer."""
        return min(self.context.budget.seconds * TIME_FOR_ANSWER, MAX_TIME_FOR_ANSWER_S)

    def _no_time_left(self) -> bool:
        return self.context.seconds_left() <= self._reserve_s()


@dataclass(slots=True)
class Told:
    """What became of the last call."""

    text: list[str] = field(default_factory=list)
    finished: Finished | None = None
    detail: str | None = None
