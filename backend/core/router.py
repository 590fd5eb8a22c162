"""Decides, without a language model, whether a query needs tools and which agent should drive them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from backend.core import routing_cues as cues
from backend.core.routing_examples import Examples
from backend.models.errors import HearthError
from backend.models.messages import Message, Route
from backend.models.run import RunContext
from backend.models.tools import ToolSpec
from backend.utils.fact_questions import asks_for_a_fact
from backend.utils.follow_ups import complete_follow_up, is_follow_up
from backend.utils.language import content_words
from backend.utils.patterns import LazyPattern
from backend.utils.query_text import (
    compared,
    find_tool_name,
    has_inline_data,
    is_greeting,
    is_question,
    is_request,
    is_thanks,
    split_parts,
)

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder

Task = Literal["chat", "agentic"]

CHAT = "chat"
REACT = "react"
PLAN = "plan_execute"
SURE = 0.8
"""A tool's own proposal at or above this decides."""
PLAUSIBLE = 0.45
"""Below this a proposal counts for nothing."""
PASTED_CHARS = 2500
"""Longer queries are text to work on, unless a tool is asked for at their beginning or end."""
CLIP_CHARS = 600
MAX_PROPOSE_CHARS = 200_000
EARLIER_TURNS = 3
_THE = r"\b(?:the|our|my|this|in|from|de[rnms]|die|das|im|unser\w*|le|la|du|notre|el|del|il|nel|o|a|no|na)\s+"
_WEB = LazyPattern(r"\bweb\b|web_|internet")
_PAPERS = LazyPattern(r"document|retriev|\brag")
_NUMBERS = LazyPattern(r"math|calculat|statistic|data_|python")


@dataclass(frozen=True, slots=True)
class Judgement:
    """One signal's verdict. `sure` ends the weighing; otherwise it is the lean should nothing better come."""

    task: Task
    reason: str
    confidence: float
    sure: bool = True


class Router:
    """Chooses the task and the agent of a request; keeps nothing of any user.

    Signals from the cheapest on: explicit words, what each tool proposes for the query, the turns before, the
    user's documents; only when these leave it open, how near the query is to labelled examples.
    """

    def __init__(self, embedder: Embedder, agents: Mapping[str, str]) -> None:
        """`agents` maps an agent's name to its `when_to_use`."""
        self._agents = dict(agents)
        self._examples = Examples(embedder)

    async def choose(self, messages: Sequence[Message], context: RunContext, specs: Sequence[ToolSpec]) -> Route:
        """The way the last user message should be answered. Nothing is run; never raises for a failing embedder."""
        clock = time.perf_counter()
        asked = [message.content for message in messages if message.role == "user"]
        query = asked[-1] if asked else ""
        earlier = asked[:-1][-EARLIER_TURNS:]
        verdict = await self._judge(query, earlier, messages, context, specs)
        agent = CHAT
        reason, confidence = verdict.reason, verdict.confidence
        if verdict.task == "agentic":
            wanted, why = choose_agent(_completed(query, earlier, specs), specs)
            agent = self._known(wanted)
            reason = f"{reason}; {why}"
        return Route(verdict.task, agent, f"{reason[0].upper()}{reason[1:]}.", confidence, time.perf_counter() - clock)

    async def determine_task_type(
        self, query: str, context: RunContext, specs: Sequence[ToolSpec] | None = None
    ) -> Task:
        """`chat` or `agentic` for a query alone; without `specs` every kind of tool is taken to exist."""
        return (await self._judge(query, (), (), context, specs)).task

    async def _judge(
        self,
        query: str,
        earlier: Sequence[str],
        messages: Sequence[Message],
        context: RunContext,
        specs: Sequence[ToolSpec] | None,
    ) -> Judgement:
        verdict = judge(query, earlier, messages, context, specs)
        if verdict.sure:
            return verdict
        try:
            share = await self._examples.agentic_share(_clip(query), specs, bool(context.documents))
        except HearthError:
            return verdict
        if share is None:
            return verdict
        lean = verdict.confidence if verdict.task == "agentic" else 1 - verdict.confidence
        together = 0.35 * lean + 0.65 * share
        if together >= 0.5:
            return Judgement("agentic", f"{verdict.reason}, and the query is like others that needed tools", together)
        return Judgement("chat", "the query is like others that a plain completion answers", 1 - together)

    def _known(self, wanted: str) -> str:
        if wanted in self._agents or not self._agents:
            return wanted
        return REACT if REACT in self._agents else next(iter(self._agents))


def judge(
    query: str,
    earlier: Sequence[str],
    messages: Sequence[Message],
    context: RunContext,
    specs: Sequence[ToolSpec] | None,
) -> Judgement:
    """What can be said without an embedder. Pure; `specs` None means that every kind of tool exists."""
    text = query.strip()
    if not text:
        return Judgement("chat", "there is no question", 1.0)
    if specs is not None and not specs:
        return Judgement("chat", "no tool is available", 1.0)
    head = _clip(text)
    small = _small_talk(head)
    if small:
        return small
    named = _named_tool(head, specs or ())
    if named:
        return Judgement("agentic", f"the tool {named} is asked for by name", 0.98)
    found = [cue for cue in cues.TOOL_CUES if cue.found_in(head)]
    plain = _plain(text, head)
    instructed = next((cue for cue in found if cue.instruction and not _outweighed(cue, plain, head)), None)
    if instructed:
        return Judgement(
            "agentic", f"the query asks for {instructed.says}", 0.95 if _served(instructed, specs) else 0.6
        )
    if plain:
        return plain
    return _by_subject(text, head, found, earlier, messages, context, specs)


def _by_subject(
    text: str,
    head: str,
    found: Sequence[cues.ToolCue],
    earlier: Sequence[str],
    messages: Sequence[Message],
    context: RunContext,
    specs: Sequence[ToolSpec] | None,
) -> Judgement:
    tool, confidence = _best_proposal(text, specs or ())
    if confidence >= SURE:
        return Judgement("agentic", f"{tool} can answer it", confidence)
    named_file = _names_document(head, context.documents)
    if named_file:
        return Judgement("agentic", "the query names an uploaded document", 0.92)
    served = [cue for cue in found if _served(cue, specs)]
    if served:
        return Judgement("agentic", f"the query is about {served[0].says}", 0.85)
    if cues.COMPREHENSIVE.search(head):
        return Judgement("agentic", "a comprehensive piece of work is asked for", 0.75)
    followed = _follow_up(text, earlier, messages, context, specs)
    if followed:
        return followed
    if context.documents and asks_for_a_fact(head) and _some_tool(specs, _PAPERS):
        return Judgement("agentic", "the user's documents may hold the fact it asks for", 0.7)
    if confidence >= PLAUSIBLE:
        return Judgement("agentic", f"{tool} may be able to answer it", confidence, sure=False)
    if context.documents and is_request(head):
        lean = 0.52 if is_question(head) else 0.45
        task: Task = "agentic" if lean > 0.5 else "chat"
        why = "the user's documents may hold the answer" if lean > 0.5 else "nothing in the query calls for a tool"
        return Judgement(task, why, max(lean, 1 - lean), sure=False)
    if is_request(head) and cues.FRESHNESS.search(head) and _some_tool(specs, _WEB):
        return Judgement("agentic", "the query is about something recent", 0.75, sure=False)
    if (cues.NUMERIC.search(head) or cues.DATA.search(head)) and _some_tool(specs, _NUMBERS):
        return Judgement("chat", "nothing in the query clearly calls for a tool", 0.5, sure=False)
    if _mentions_tool(head, specs or ()):
        return Judgement("agentic", "the query speaks of what a tool does", 0.55, sure=False)
    return Judgement("chat", "nothing in the query calls for a tool", 0.85)


def choose_agent(query: str, specs: Sequence[ToolSpec]) -> tuple[str, str]:
    """The agent for an agentic query, and why: independent pieces go side by side, everything else step by step."""
    head = _clip(query)
    parts = split_parts(query)
    depends = any(part.depends for part in parts) or (bool(cues.DEPENDENT.search(head)) and not has_inline_data(query))
    if depends:
        return REACT, "its steps depend on each other"
    if cues.COMPREHENSIVE.search(head):
        return PLAN, "it has several pieces that can be worked on side by side"
    if (compared(head) or cues.SEVERAL.search(head)) and not has_inline_data(query):
        return PLAN, "the things to compare can be looked up side by side"
    if len(parts) > 1 and not _one_call(query, specs):
        served = [part for part in parts if _best_proposal(part.text, specs)[1] >= PLAUSIBLE or _has_cue(part.text)]
        if len(served) > 1:
            return PLAN, f"its {len(served)} parts are independent"
        if sum(is_request(part.text) for part in parts) > 2:
            return PLAN, f"it lists {len(parts)} separate tasks"
    return REACT, "one tool, step by step, is enough"


# ---- signals ------------------------------------------------------------------------------------


def _small_talk(head: str) -> Judgement | None:
    if len(head) > 200:
        return None
    if is_greeting(head) or is_thanks(head):
        return Judgement("chat", "a greeting or thanks needs no tool", 0.99)
    if len(head) <= 80 and cues.SMALL_TALK.search(head):
        return Judgement("chat", "small talk needs no tool", 0.95)
    return None


def _plain(text: str, head: str) -> Judgement | None:
    """Signs that the model's own words are wanted."""
    if cues.REWRITE.search(head):
        return Judgement("chat", "a given text is to be worked on", 0.93)
    if cues.CREATIVE.search(head[:200]):
        return Judgement("chat", "something is to be written freely", 0.92)
    if cues.CODE_WRITING.search(head[:200]):
        return Judgement("chat", "code is to be written or explained", 0.9)
    if len(text) > PASTED_CHARS and not has_inline_data(text):
        return Judgement("chat", "a long text was pasted to be worked on", 0.85)
    return None


def _outweighed(cue: cues.ToolCue, plain: Judgement | None, head: str) -> bool:
    """Whether signs of a plain completion beat an instruction: a program that searches the web is still code."""
    if plain is None:
        return False
    begins = cues.REWRITE.match(head) or cues.CODE_WRITING.match(head)
    return bool(begins) and not cue.needs_documents and "run" not in cue.says


def _named_tool(head: str, specs: Sequence[ToolSpec]) -> str | None:
    return next((spec.name for spec in specs if find_tool_name(head, spec.name)), None)


def _best_proposal(text: str, specs: Sequence[ToolSpec]) -> tuple[str, float]:
    best, tool = 0.0, ""
    if len(text) > MAX_PROPOSE_CHARS:
        return tool, best
    for spec in specs:
        if spec.propose is None:
            continue
        for proposal in spec.propose(text):
            if proposal.confidence > best:
                best, tool = proposal.confidence, spec.name
    return tool, best


def _one_call(query: str, specs: Sequence[ToolSpec]) -> bool:
    """Whether the sentences belong to one call, as when data is pasted and a question asked about it."""
    return has_inline_data(query) and _best_proposal(query, specs)[1] >= SURE


def _served(cue: cues.ToolCue, specs: Sequence[ToolSpec] | None) -> bool:
    return _some_tool(specs, cue.tools)


def _some_tool(specs: Sequence[ToolSpec] | None, pattern: LazyPattern) -> bool:
    return specs is None or any(pattern.search(spec.name) or pattern.search(spec.description) for spec in specs)


def _has_cue(text: str) -> bool:
    return any(cue.found_in(text) for cue in cues.TOOL_CUES)


def _names_document(head: str, documents: Sequence[str]) -> bool:
    """Whether a file is named: in full, or by a telling stem such as "the handbook" for `handbook.pdf`."""
    lowered = head.lower()
    for name in documents:
        whole = name.lower()
        bare = whole.rsplit(".", 1)[0]
        if whole in lowered or (len(bare) >= 5 and re.search(rf"{_THE}{re.escape(bare)}\b", lowered)):
            return True
    return False


def _mentions_tool(head: str, specs: Sequence[ToolSpec]) -> bool:
    said = set(content_words(head))
    for spec in specs:
        pieces = [piece for piece in spec.name.lower().split("_") if len(piece) > 2]
        known = [piece for piece in pieces if piece in said or piece + "s" in said]
        if pieces and len(known) == len(pieces) and (len(pieces) > 1 or len(pieces[0]) >= 5):
            return True
    return False


def _follow_up(
    text: str,
    earlier: Sequence[str],
    messages: Sequence[Message],
    context: RunContext,
    specs: Sequence[ToolSpec] | None,
) -> Judgement | None:
    """A query that leans on an earlier turn goes the way that turn went."""
    if not earlier or not is_follow_up(text):
        return None
    before = judge(earlier[-1], earlier[:-1], (), context, specs)
    used_tools = any(message.tool_calls or message.role == "tool" for message in messages)
    whole = max((_best_proposal(each, specs or ())[1] for each in complete_follow_up(earlier[-1], text)), default=0.0)
    if whole >= SURE or used_tools or (before.task == "agentic" and before.sure):
        return Judgement("agentic", "it goes on from a turn that needed tools", 0.8)
    if before.task == "chat" and before.sure and whole < PLAUSIBLE:
        return Judgement("chat", "it goes on from a turn that needed no tool", 0.8)
    return None


def _completed(query: str, earlier: Sequence[str], specs: Sequence[ToolSpec]) -> str:
    """The query, or the follow-up made whole where a tool makes something of it."""
    if not earlier or not is_follow_up(query):
        return query
    return max(complete_follow_up(earlier[-1], query), key=lambda each: _best_proposal(each, specs)[1], default=query)


def _clip(text: str) -> str:
    """The beginning and end of a long text: where people put their instruction."""
    text = text.strip()
    return text if len(text) <= 2 * CLIP_CHARS else f"{text[:CLIP_CHARS]}\n{text[-CLIP_CHARS:]}"
