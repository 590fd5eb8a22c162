"""The agent for whole documents: it reads all of their text, part by part, and answers from notes on every part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import ClassVar

from backend.core import whole_document_prompts as texts
from backend.core.agent import ReActStep
from backend.core.collect import Emit, Meter, interleave
from backend.core.findings import query_of
from backend.core.tool_runs import ToolRuns
from backend.core.toolbox import Toolbox
from backend.core.whole_document_cues import READER, forced_task, language_of
from backend.core.whole_document_extract import cannot_translate, extracted
from backend.core.whole_document_run import AT_ONCE, Part, Told, WholeRun
from backend.core.whole_document_text import as_list, items_of, merged, names_of, places_of
from backend.llm.port import Model
from backend.models.errors import HearthError
from backend.models.messages import Event, Finished, Message, TextDelta
from backend.models.run import RunContext

WORDLESS = "tools_only"
"""The capability of a model that writes nothing of its own: the answer is then made of the documents' own sentences."""


def create_agent(model: Model, toolbox: Toolbox) -> WholeDocumentAgent:
    return WholeDocumentAgent(model, toolbox)


class WholeDocumentAgent:
    """Reads the documents a query names (or means) from beginning to end, at most two parts side by side.

    What fits one window is answered from at once. Of longer documents every part is noted by a call of its own; the
    notes are merged until they fit, and the answer is written from them. A list is put together without a further
    call, so that nothing gets lost; a translation is given part by part. One failing part is tried once more and
    then reported. One instance serves one run.
    """

    name: ClassVar[str] = "documents"
    when_to_use: ClassVar[str] = (
        "Whole documents of the user are to be summarised, compared or translated, or everything of a kind in them"
        " is to be listed."
    )

    def __init__(self, model: Model, toolbox: Toolbox) -> None:
        self._model = model
        self._toolbox = toolbox
        self._tools: ToolRuns | None = None

    def get_trace(self) -> Sequence[ReActStep]:
        """The reading and the parts so far; valid during and after the run."""
        return tuple(self._tools.steps) if self._tools is not None else ()

    async def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        """See Agent.run. Each part is announced, started and finished like a step with a tool.

        Raises what the model's provider raises when not one part could be worked on.
        """
        conversation = tuple(message for message in messages if message.role in ("user", "assistant"))
        query = query_of(conversation)
        language = language_of(query)
        earlier = [message.content for message in conversation if message.role == "user"][:-1]
        if READER not in self._toolbox.tools or not context.documents:
            yield TextDelta(texts.said(language, "no_documents"))
            yield Finished("stop")
            return
        task = forced_task(query, context.documents, earlier, limited=context.files is not None)
        wordless = WORDLESS in self._model.info.capabilities
        if wordless and task.kind == "translate":
            yield TextDelta(cannot_translate(language))
            yield Finished("stop")
            return
        meter = Meter(context)
        self._tools = tools = ToolRuns(self._toolbox, meter)
        run = WholeRun(self._model, self._toolbox, context, conversation, task, meter, tools)
        async with aclosing(interleave([run.read])) as events:
            async for event in events:
                yield event
        if not run.passages:
            yield TextDelta(run.problem or texts.said(language, "no_documents"))
            yield Finished("stop")
            return
        if wordless:
            yield TextDelta(await asyncio.to_thread(extracted, task, query, run.passages, language))
            yield Finished("stop")
            return
        async with aclosing(self._answered(run, language)) as events:
            async for event in events:
                yield event

    async def _answered(self, run: WholeRun, language: str) -> AsyncGenerator[Event, None]:
        if run.fits():
            ending = self._written(run, language, [])
        else:
            run.divide()
            for planned in run.planned():
                yield planned
            if run.task.kind == "translate":
                ending = self._translated(run, language)
            else:
                async with aclosing(interleave(run.jobs(), AT_ONCE)) as events:
                    async for event in events:
                        yield event
                if run.error is not None and not any(part.notes for part in run.parts):
                    raise run.error
                ending = self._listed(run, language) if run.task.kind == "list" else self._from_notes(run, language)
        async with aclosing(ending) as events:
            async for event in events:
                yield event

    # ---- ways to answer -----------------------------------------------------------------------------

    async def _from_notes(self, run: WholeRun, language: str) -> AsyncGenerator[Event, None]:
        """Merge the notes, file by file where files are compared, and write the answer from them."""
        groups: dict[str, list[str]] = {}
        for part in run.parts:
            if _says_something(part):
                key = names_of(part.window.passages) if run.task.kind == "compare" else ""
                groups.setdefault(key, []).append(part.notes or "")
        notes: list[tuple[str, str]] = []

        async def merge(emit: Emit) -> None:
            for name, each in groups.items():
                share = await run.merge(each, emit)
                notes.append((name or names_of(run.passages), "\n".join(share)))

        async with aclosing(interleave([merge])) as events:
            async for event in events:
                yield event
        if not notes:
            yield TextDelta(texts.said(language, "nothing", files=names_of(run.passages)))
            for event in _ending(run, language, None):
                yield event
            return
        async with aclosing(self._written(run, language, notes)) as written:
            async for event in written:
                yield event

    async def _written(
        self, run: WholeRun, language: str, notes: Sequence[tuple[str, str]]
    ) -> AsyncGenerator[Event, None]:
        """The answer by the model; the notes themselves where it writes none."""
        told = Told()
        try:
            async with aclosing(run.write(run.answer_messages(notes), told)) as events:
                async for event in events:
                    yield event
        except HearthError:
            # Notes on all parts are worth more than an error, as long as no word has been written.
            if told.text or not notes:
                raise
        if not told.text:
            words = "\n\n".join(text for _, text in notes)
            head = texts.said(language, "no_answer", files=names_of(run.passages))
            yield TextDelta(f"{head}\n\n{words}" if words else texts.said(language, "no_documents"))
            told.detail = told.detail or "The model wrote no answer."
        for event in _ending(run, language, told):
            yield event

    async def _listed(self, run: WholeRun, language: str) -> AsyncGenerator[Event, None]:
        """The entries of all parts, each once, in the order of the documents."""
        found = merged(
            item for part in run.parts if _says_something(part) for item in items_of(part.notes or "", part.window)
        )
        names = names_of(run.passages)
        if found:
            head = texts.said(language, "items", files=names)
            yield TextDelta(f"{head}\n\n{as_list(found, self._toolbox.sources)}")
        else:
            yield TextDelta(texts.said(language, "nothing", files=names))
        for event in _ending(run, language, None):
            yield event

    async def _translated(self, run: WholeRun, language: str) -> AsyncGenerator[Event, None]:
        """Each part's translation as soon as all before it are there."""
        told = 0
        async with aclosing(interleave(run.jobs(), AT_ONCE)) as events:
            async for event in events:
                yield event
                while told < len(run.parts) and (run.parts[told].notes or run.parts[told].failed):
                    if run.error is None or any(part.notes for part in run.parts):
                        yield TextDelta(("\n\n" if told else "") + _translation(run.parts[told]))
                    told += 1
        if run.error is not None and not any(part.notes for part in run.parts):
            raise run.error
        for event in _ending(run, language, None):
            yield event


def _translation(part: Part) -> str:
    """A part's translation with its markers in a paragraph of their own; its place where there is none."""
    if not part.notes:
        return f"(… {part.window.places} …)"
    return f"{part.notes}\n\n{''.join(f'[{each.marker}]' for each in part.window.passages)}"


def _says_something(part: Part) -> bool:
    return bool(part.notes) and (part.notes or "").strip(" .*\n-").upper() != texts.NONE


def _ending(run: WholeRun, language: str, told: Told | None) -> list[Event]:
    """What was not read, said in the answer, and the end."""
    failed = [each for part in run.parts if part.failed for each in part.window.passages]
    left = [each for part in run.parts if part.notes is None and not part.failed for each in part.window.passages]
    what: list[str] = []
    if left or run.unread:
        places = "; ".join(filter(None, (places_of(left) if left else "", *run.unread)))
        what.append(texts.said(language, "left", places=places))
    if failed:
        what.append(texts.said(language, "failed", places=places_of(failed)))
    out: list[Event] = []
    if what:
        out.append(TextDelta(f"\n\n{texts.said(language, 'covered', what='; '.join(what))}"))
    detail = (told.detail if told is not None else None) or run.stopped
    if detail:
        return [*out, Finished("length", detail)]
    own = told.finished if told is not None else None
    if own is not None and own.reason not in ("stop", "tool_calls"):
        return [*out, Finished(own.reason, own.detail)]
    return [*out, Finished("stop", "Some parts could not be worked on." if failed else None)]
