"""What can be said of a query without an embedder or a model: cues, proposals, documents, earlier turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backend.core import routing_cues as cues
from backend.core import routing_files as files
from backend.core import routing_plain as plain
from backend.core.routing_proposals import PLAUSIBLE, SURE, best_proposal
from backend.core.routing_text import clip, fold
from backend.core.routing_words import START
from backend.models.messages import Message
from backend.models.run import RunContext
from backend.models.tools import ToolSpec
from backend.utils.fact_questions import asks_for_a_fact
from backend.utils.follow_ups import complete_follow_up, is_follow_up
from backend.utils.language import content_words
from backend.utils.patterns import LazyPattern
from backend.utils.query_text import (
    find_tool_name,
    has_inline_data,
    is_greeting,
    is_question,
    is_request,
    is_thanks,
    refers_back,
)

Task = Literal["chat", "agentic"]

PASTED_CHARS = 2500
"""Longer queries are text to work on, unless a tool is asked for at their beginning or end."""
_FILES = LazyPattern(
    r"\b(?:documents?|files?|pdfs?|uploaded|dokument\w*|datei\w*|fichiers?|documentos?|archivos?|documenti|arquivos?)\b",
    flags=0,
)
SHORT_DEFINITE_LEAN = 0.65
_HOW_TO = LazyPattern(
    r"^\W*(?:how (?:do|can|should|to|must)|wie (?!ist|war|hoch|viel|lange|oft|alt|gross|heisst|geht)\w+|"
    r"comment|como|come|hoe|jak)\b",
    flags=0,
)
_LIST = LazyPattern(
    r"^\W*(?:[\w-]+(?: [\w-]+){0,3}, ){1,6}[\w-]+(?: [\w-]+){0,3},? "
    r"(?:and|und|et|y|e|en|i) [\w-]+(?: [\w'-]+){0,6}\W*$",
    flags=0,
)
_IMPERATIVE = LazyPattern(rf"(?:{START})$", flags=0)
SHORT_WORDS = 9
"""Queries of at most so many words may lean on the turn before."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One signal's verdict. `sure` ends the weighing; otherwise it is the lean should nothing better come."""

    task: Task
    reason: str
    confidence: float
    sure: bool = True


@dataclass(frozen=True, slots=True)
class _Query:
    """A query with what it may lean on. `head` is its beginning and end, `folded` the same without case and accents."""

    text: str
    head: str
    folded: str
    earlier: Sequence[str]
    messages: Sequence[Message]
    context: RunContext
    specs: Sequence[ToolSpec] | None

    def serves(self, pattern: LazyPattern) -> bool:
        """Whether a tool of that kind is offered."""
        return self.specs is None or any(pattern.search(s.name) or pattern.search(s.description) for s in self.specs)


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
    head = clip(text)
    asked = _Query(text, head, fold(head), earlier, messages, context, specs)
    small = _small_talk(asked)
    if small:
        return small
    named = next((spec.name for spec in specs or () if _is_called(head, spec.name)), None)
    if named:
        return Judgement("agentic", f"the tool {named} is asked for by name", 0.98)
    return _by_instruction(asked) or _by_subject(asked) or _by_kind_of_question(asked)


def _by_instruction(asked: _Query) -> Judgement | None:
    """What is to be done, in so many words: write, translate, search, run."""
    if plain.REWRITE.search(asked.folded):
        return Judgement("chat", "a given text is to be worked on", 0.93)
    writing = _writing(asked)
    for cue in cues.TOOL_CUES:
        if not cue.instruction or not cue.found_in(asked.folded):
            continue
        if writing is not None and not _outweighs(cue, asked):
            continue
        return Judgement("agentic", f"the query asks for {cue.says}", 0.95 if asked.serves(cue.tools) else 0.6)
    return writing


def _by_subject(asked: _Query) -> Judgement | None:
    """What it is about: something to be computed, looked up, read in the user's own files."""
    explaining = bool(plain.EXPLAIN.search(asked.folded) or plain.FAMOUS.search(asked.folded))
    if plain.STATEMENT.search(asked.folded):
        return _follow_up(asked)
    writing = bool(plain.WRITING_LEAD.search(asked.folded))
    advising = bool(plain.ADVICE.search(asked.folded))
    if not explaining:
        tool, confidence = best_proposal(asked.text, asked.specs or (), lambda spec: not _is_excepted(spec, asked))
        if confidence >= SURE:
            return Judgement("agentic", f"the tool {tool} can answer it", confidence)
    documents = asked.context.documents
    if documents and asked.serves(cues.PAPER_TOOLS):
        if files.named(asked.folded, documents):
            return Judgement("agentic", "the query names an uploaded document", 0.92)
        if files.asks_of_tables(asked.folded, documents) and asked.serves(cues.DATA_TOOLS):
            return Judgement("agentic", "the user's tables may hold what it asks for", 0.85, sure=False)
    for cue in cues.TOOL_CUES:
        if cue.instruction or explaining or writing or (advising and cue.kind in ("math", "data")):
            continue
        if cue.found_in(asked.folded) and asked.serves(cue.tools):
            return Judgement("agentic", f"the query is about {cue.says}", 0.85, sure=cue.sure)
    if cues.COMPREHENSIVE.search(asked.folded):
        return Judgement("agentic", "a comprehensive piece of work is asked for", 0.75)
    return _follow_up(asked)


def _by_kind_of_question(asked: _Query) -> Judgement:
    """What is left: questions that anybody can answer, and such that only the user's documents can."""
    folded = asked.folded
    papers = bool(asked.context.documents) and asked.serves(cues.PAPER_TOOLS)
    if plain.FAMOUS.search(folded):
        return Judgement("chat", "general knowledge answers it", 0.85, sure=not papers)
    own = papers and bool(plain.OWN.search(folded)) and not plain.GENERIC.search(folded)
    if plain.ADVICE.search(folded) or plain.EXPLAIN.search(folded):
        if own:
            lean = 0.8 if plain.DEFINITE_OWN.search(folded) else 0.6
            return Judgement("agentic", "the user's documents may explain it", lean, sure=False)
        if papers and _HOW_TO.search(folded) and not plain.GENERIC.search(folded):
            if files.holds_instructions(asked.context.documents):
                return Judgement("agentic", "a manual of the user may say how", 0.75, sure=False)
            if files.holds_terms(asked.context.documents):
                return Judgement("agentic", "the user's documents may say how", 0.52, sure=False)
        return Judgement("chat", "an explanation or advice is wanted", 0.8, sure=not papers)
    if plain.WHAT_IS.search(folded):
        return Judgement("chat", "general knowledge may answer it", 0.7, sure=False)
    if own and (is_request(asked.head) or len(folded.split()) <= SHORT_WORDS):
        return Judgement("agentic", "the query is about what the user's documents hold", 0.8, sure=False)
    writing = plain.WRITING_LEAD.search(folded)
    if is_request(asked.head) and not writing and cues.FRESHNESS.search(folded) and asked.serves(cues.WEB_TOOLS):
        return Judgement("agentic", "the query is about something recent", 0.85, sure=False)
    if papers and plain.WORLD.search(folded):
        return Judgement("chat", "it asks about the world at large", 0.7, sure=False)
    if papers and plain.RULE.search(folded):
        return Judgement("agentic", "the user's documents may say what applies", 0.75, sure=False)
    if papers and plain.SHORT_DEFINITE.search(folded):
        return Judgement("agentic", "the user's documents may say what it is", SHORT_DEFINITE_LEAN, sure=False)
    if papers and _lists_matters(folded):
        return Judgement("agentic", "several things are asked of the user's documents", 0.75, sure=False)
    if papers and asks_for_a_fact(asked.head):
        return Judgement("agentic", "the user's documents may hold the fact it asks for", 0.65, sure=False)
    if plain.STATEMENT.search(folded):
        return Judgement("chat", "nothing is asked", 0.8, sure=False)
    tool, confidence = best_proposal(asked.text, asked.specs or ())
    if confidence >= PLAUSIBLE:
        return Judgement("agentic", f"{tool} may be able to answer it", confidence, sure=False)
    if papers and is_question(asked.head):
        return Judgement("agentic", "the user's documents may hold the answer", 0.52, sure=False)
    if (cues.NUMERIC.search(folded) or cues.DATA.search(folded)) and asked.serves(cues.NUMBER_TOOLS):
        return Judgement("chat", "nothing in the query clearly calls for a tool", 0.5, sure=False)
    if _mentions_tool(asked) and is_request(asked.head):
        return Judgement("agentic", "the query speaks of what a tool does", 0.55, sure=False)
    return Judgement("chat", "nothing in the query calls for a tool", 0.6, sure=False)


# ---- signals ------------------------------------------------------------------------------------


def _small_talk(asked: _Query) -> Judgement | None:
    if len(asked.head) > 200:
        return None
    if is_greeting(asked.head) or is_thanks(asked.head):
        return Judgement("chat", "a greeting or thanks needs no tool", 0.99)
    if len(asked.head) <= 80 and plain.SMALL_TALK.search(asked.folded):
        return Judgement("chat", "small talk needs no tool", 0.95)
    return None


def _writing(asked: _Query) -> Judgement | None:
    """Signs that the model's own words are wanted."""
    if plain.CREATIVE.search(asked.folded[:200]):
        return Judgement("chat", "something is to be written freely", 0.92)
    if plain.CODE_WRITING.search(asked.folded[:200]):
        return Judgement("chat", "code is to be written or explained", 0.9)
    if len(asked.text) > PASTED_CHARS and not has_inline_data(asked.text):
        return Judgement("chat", "a long text was pasted to be worked on", 0.85)
    return None


def _outweighs(cue: cues.ToolCue, asked: _Query) -> bool:
    """Whether an instruction to use a tool beats signs of writing: a program that searches the web is still code."""
    if cue.kind == "code":
        return True
    if plain.CODE_WRITING.match(asked.folded):
        return False
    return not plain.CREATIVE.match(asked.folded) or (cue.kind == "documents" and bool(_FILES.search(asked.folded)))


def _lists_matters(folded: str) -> bool:
    """Whether the query is a bare list of things: "price, term and notice period please"."""
    return len(folded) <= 160 and bool(_LIST.match(folded))


def _is_called(head: str, name: str) -> bool:
    """Whether a tool is called by its name. "with weather" does not call the tool `weather`, "use weather" does."""
    found = find_tool_name(head, name)
    if found is None:
        return False
    said = found.group().lower()
    return "_" in name or "tool" in said or bool(_IMPERATIVE.search(fold(head[: found.start()])))


def _is_excepted(spec: ToolSpec, asked: _Query) -> bool:
    """Whether a tool's own proposal does not decide: that of the documents' tool, which fits any question, and that
    of a tool which is only spoken about ("is Wikipedia reliable?")."""
    if cues.PAPER_TOOLS.search(spec.name):
        return True
    return any(
        cue.unless is not None
        and cue.tools.search(spec.name)
        and cue.pattern.search(asked.folded)
        and not cue.found_in(asked.folded)
        for cue in cues.TOOL_CUES
        if cue.kind in ("wikipedia", "weather", "web")
    )


def _mentions_tool(asked: _Query) -> bool:
    said = set(content_words(asked.head))
    for spec in asked.specs or ():
        pieces = [piece for piece in spec.name.lower().split("_") if len(piece) > 2]
        known = [piece for piece in pieces if piece in said or piece + "s" in said]
        if pieces and len(known) == len(pieces) and (len(pieces) > 1 or len(pieces[0]) >= 5):
            return True
    return False


def _follow_up(asked: _Query) -> Judgement | None:
    """A query that leans on an earlier turn goes the way that turn went, unless it only wants its words changed."""
    if not asked.earlier:
        return None
    before = judge(asked.earlier[-1], asked.earlier[:-1], (), asked.context, asked.specs)
    if before.task == "chat" and plain.AFTERWARDS.search(asked.folded):
        return Judgement("chat", "an answer that needed no tool is to be changed", 0.85)
    if plain.EXPLAIN.search(asked.folded):
        return Judgement("chat", "an earlier answer is to be explained", 0.75)
    if not _leans(asked):
        return None
    used_tools = any(message.tool_calls or message.role == "tool" for message in asked.messages)
    whole = max(
        (best_proposal(each, asked.specs or ())[1] for each in complete_follow_up(clip(asked.earlier[-1]), asked.head)),
        default=0.0,
    )
    if whole >= SURE or used_tools or (before.task == "agentic" and before.confidence >= 0.65):
        return Judgement("agentic", "it goes on from a turn that needed tools", 0.8)
    if before.task == "chat" and whole < PLAUSIBLE and not cues.FRESHNESS.search(asked.folded):
        return Judgement("chat", "it goes on from a turn that needed no tool", 0.8)
    return None


def _leans(asked: _Query) -> bool:
    """Whether a query only makes sense after the turn before it."""
    if is_follow_up(asked.head):
        return True
    words = len(asked.folded.split())
    if words <= 3 and is_question(asked.head):
        return True
    return words <= SHORT_WORDS and (refers_back(asked.head) or (words <= 5 and bool(plain.ONWARD.match(asked.folded))))
