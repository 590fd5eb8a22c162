"""What the steps of a plan have found out so far: as messages for a model, as state, and in plain words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from backend.core import prompts
from backend.core.collect import shortened
from backend.core.plan import Step
from backend.core.tool_runs import canonical, in_words
from backend.core.toolbox import ToolOutcome, cut
from backend.models.messages import Message, ToolCall
from backend.utils.untrusted import fenced

MAX_WORDS_CHARS = 1_500
MAX_FAILURE_CHARS = 300


@dataclass(slots=True)
class Findings:
    """Results accumulate over the rounds; nothing found is lost again."""

    taken: list[tuple[Step, ToolOutcome]] = field(default_factory=list)
    """Every step that ran, in the order of the plans."""
    results: dict[str, ToolOutcome] = field(default_factory=dict)
    """By step id; a step that repeats an earlier one shares its result."""
    keys: dict[tuple[str, bytes], str] = field(default_factory=dict)
    """Which step id did what."""

    def add(self, step: Step, outcome: ToolOutcome, *, made: bool = True) -> None:
        """`made` False: the call could not be made at all, so a later plan may well make it."""
        self.taken.append((step, outcome))
        self.results[step.id] = outcome
        if made:
            self.keys.setdefault(step.key, step.id)
            self.keys.setdefault(canonical(outcome.name, outcome.arguments), step.id)

    def good_since(self, count: int) -> list[tuple[Step, ToolOutcome]]:
        """What was found after the first `count` results, without the failures."""
        return [(step, outcome) for step, outcome in self.taken[count:] if outcome.error is None]

    def without_later_failures(self, count: int) -> Findings:
        """The first `count` results as they are, and of those after them the good ones."""
        return Findings([*self.taken[:count], *self.good_since(count)])

    def messages(
        self,
        system: str,
        conversation: Sequence[Message],
        *,
        native: bool,
        note: str = "",
        context_length: int = 0,
    ) -> tuple[Message, ...]:
        """The system prompt, the conversation, then the results of all steps.

        `native`: as one assistant turn with calls and a tool turn for each, else inside the last user message.
        `note` is put after the newest result. The user's query stays the last user message.
        """
        taken = self.taken
        opening = (Message("system", system), *conversation)
        if not taken:
            return opening
        if not native:
            return _with_results_in_query(opening, taken, note)
        calls = tuple(
            ToolCall(step.id, outcome.name, orjson.dumps(outcome.arguments).decode()) for step, outcome in taken
        )
        told = [outcome.as_message(step.id) for step, outcome in taken]
        if note:
            told[-1] = replace(told[-1], content=f"{told[-1].content}\n\n{note}")
        return shortened((*opening, Message("assistant", "", tool_calls=calls), *told), context_length)

    def as_state(self) -> dict[str, list[dict[str, Any]]]:
        """The results by kind: passages of documents, of the web, analyses of data, and all else."""
        state: dict[str, list[dict[str, Any]]] = {
            "rag_context": [],
            "search_results": [],
            "data_analysis_results": [],
            "other_tool_results": [],
        }
        for step, outcome in self.taken:
            state[_kind(outcome)].append(
                {
                    "id": step.id,
                    "tool": outcome.name,
                    "input": dict(outcome.arguments),
                    "text": outcome.result.text,
                    "data": outcome.result.data,
                    "error": outcome.error,
                }
            )
        return state

    def in_words(self) -> str:
        """An answer in plain words made of the good results, for when the model wrote none."""
        good = [outcome for _, outcome in self.taken if outcome.error is None]
        if not good:
            return prompts.FALLBACK_NOTHING
        results = "\n\n".join(cut(in_words(outcome), MAX_WORDS_CHARS) for outcome in good)
        return prompts.FALLBACK_RESULTS.format(results=results)


def _kind(outcome: ToolOutcome) -> str:
    if outcome.result.sources:
        return "rag_context" if outcome.result.sources[0].kind == "document" else "search_results"
    return "data_analysis_results" if outcome.name == "data_analysis" else "other_tool_results"


def _with_results_in_query(
    opening: Sequence[Message], taken: Sequence[tuple[Step, ToolOutcome]], note: str
) -> tuple[Message, ...]:
    results = "\n\n".join(
        prompts.ONE_RESULT.format(
            name=outcome.name, arguments=orjson.dumps(outcome.arguments).decode(), observation=outcome.observation
        )
        for _, outcome in taken
    )
    if note:
        results = f"{results}\n\n{note}"
    return with_query(opening, lambda query: prompts.RESULTS_FOR_USER.format(query=query, results=results))


def with_query(messages: Sequence[Message], change: Callable[[str], str]) -> tuple[Message, ...]:
    """The messages with the text of the last user message changed; pictures stay with it."""
    last = max((at for at, message in enumerate(messages) if message.role == "user"), default=None)
    if last is None:
        return (*messages, Message("user", change("")))
    changed = replace(messages[last], content=change(messages[last].content))
    return (*messages[:last], changed, *messages[last + 1 :])


def query_of(messages: Sequence[Message]) -> str:
    """The text of the last user message."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def failures_in_words(failed: Sequence[tuple[Step, ToolOutcome]], fence: str) -> str:
    """Failed steps as quoted material: their errors may be anybody's words."""
    lines = [
        f"- {step.id}: {outcome.name} {cut(orjson.dumps(outcome.arguments).decode(), MAX_FAILURE_CHARS)}: "
        f"{cut(' '.join((outcome.error or '').split()), MAX_FAILURE_CHARS)}"
        for step, outcome in failed
    ]
    return fenced("\n".join(lines), "steps that failed", fence)


def outcome_failed(results: Mapping[str, ToolOutcome], ids: Sequence[str]) -> str | None:
    """The first of these steps that has no good result, or None."""
    return next((each for each in ids if each not in results or results[each].error), None)
