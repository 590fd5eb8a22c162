"""Decides whether a query needs tools and which agent should drive them, nearly always without a language model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.core.routing_examples import Examples
from backend.core.routing_model import ask_model, may_be_asked
from backend.core.routing_pieces import PLAN, REACT, choose_agent
from backend.core.routing_signals import Judgement, Task, judge
from backend.core.routing_text import clip
from backend.core.whole_document_cues import AGENT as DOCUMENTS
from backend.core.whole_document_cues import READER, whole_document_task
from backend.llm.port import Model
from backend.models.errors import HearthError
from backend.models.messages import Message, Route
from backend.models.run import RunContext
from backend.models.tools import ToolSpec

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder

__all__ = ["CHAT", "PLAN", "REACT", "Router", "choose_agent", "judge"]

CHAT = "chat"
EARLIER_TURNS = 3
LEAN_WEIGHT = 0.33
"""What the lean of the words weighs against likeness to examples."""
CAUTION = 0.065
"""How far beyond even the signals must be for tools: a needless tool costs more than a missed one."""
TORN = 0.12
"""How near to even the signals must be for the model to be asked."""
WHOLE_REASON = "The query is about the whole of a document."
WHOLE_CONFIDENCE = 0.93
OPPOSED = 0.2
"""How far each of two signals must be from even, to different sides, to count as contradicting each other."""


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A judgement, and whether the signals were at odds over it."""

    judgement: Judgement
    torn: bool = False


class Router:
    """Chooses the task and the agent of a request; keeps nothing of any user.

    Signals from the cheapest on: explicit words, what each tool proposes for the query, the user's documents, the
    turns before; only when these leave it open, how near the query is to labelled examples; and when these signals
    disagree and `asks_model` allows it, one short question to the language model.
    """

    def __init__(self, embedder: Embedder, agents: Mapping[str, str], *, asks_model: bool = False) -> None:
        """`agents` maps an agent's name to its `when_to_use`."""
        self._agents = dict(agents)
        # That whole documents are meant is told by words alone.
        self._asked_about = tuple(name for name in agents if name != DOCUMENTS)
        self.asks_model = asks_model
        self.examples = Examples(embedder)

    async def choose(
        self,
        messages: Sequence[Message],
        context: RunContext,
        specs: Sequence[ToolSpec],
        model: Model | None = None,
    ) -> Route:
        """The way the last user message should be answered. Nothing is run; no failing embedder or model makes it
        raise. `model` is what may be asked if the signals disagree."""
        clock = time.perf_counter()
        asked = [message.content for message in messages if message.role == "user"]
        query = asked[-1] if asked else ""
        earlier = asked[:-1][-EARLIER_TURNS:]
        if DOCUMENTS in self._agents and _is_about_whole_documents(query, context, specs):
            return Route("agentic", DOCUMENTS, WHOLE_REASON, WHOLE_CONFIDENCE, time.perf_counter() - clock)
        weighed = await self._weigh(query, earlier, messages, context, specs)
        verdict, agent = weighed.judgement, CHAT
        reason, confidence = verdict.reason, verdict.confidence
        said = None
        if weighed.torn and self.asks_model and model is not None and may_be_asked(model):
            said = await ask_model(model, query, earlier, context, specs, self._asked_about)
        if said is not None:
            agent, confidence = said.agent, 0.75
            reason = "the signals disagreed and the model chose"
        elif verdict.task == "agentic":
            wanted, why = choose_agent(query, specs, context.documents)
            agent = self._known(wanted)
            reason = f"{reason}; {why}"
        task: Task = "chat" if agent == CHAT else "agentic"
        return Route(task, agent, f"{reason[0].upper()}{reason[1:]}.", confidence, time.perf_counter() - clock)

    async def determine_task_type(
        self, query: str, context: RunContext, specs: Sequence[ToolSpec] | None = None
    ) -> Task:
        """`chat` or `agentic` for a query alone; without `specs` every kind of tool is taken to exist."""
        if DOCUMENTS in self._agents and _is_about_whole_documents(query, context, specs):
            return "agentic"
        return (await self._weigh(query, (), (), context, specs)).judgement.task

    async def aclose(self) -> None:
        """Stop what may still be prepared in the background."""
        await self.examples.aclose()

    async def _weigh(
        self,
        query: str,
        earlier: Sequence[str],
        messages: Sequence[Message],
        context: RunContext,
        specs: Sequence[ToolSpec] | None,
    ) -> _Weighed:
        verdict = judge(query, earlier, messages, context, specs)
        if verdict.sure:
            return _Weighed(verdict)
        try:
            share = await self.examples.agentic_share(clip(query), specs, bool(context.documents))
        except HearthError:
            share = None
        if share is None:
            return _Weighed(verdict, verdict.confidence < 0.5 + TORN)
        lean = verdict.confidence if verdict.task == "agentic" else 1 - verdict.confidence
        together = LEAN_WEIGHT * lean + (1 - LEAN_WEIGHT) * share - CAUTION
        opposed = (lean - 0.5) * (share - 0.5) < 0 and min(abs(lean - 0.5), abs(share - 0.5)) >= OPPOSED
        torn = opposed or abs(together - 0.5) < TORN
        if together >= 0.5:
            why = f"{verdict.reason}, and the query is like others that needed tools"
            return _Weighed(Judgement("agentic", why, together), torn)
        return _Weighed(
            Judgement("chat", "the query is like others that a plain completion answers", 1 - together), torn
        )

    def _known(self, wanted: str) -> str:
        if wanted in self._agents or not self._agents:
            return wanted
        return REACT if REACT in self._agents else next(iter(self._agents))


def _is_about_whole_documents(query: str, context: RunContext, specs: Sequence[ToolSpec] | None) -> bool:
    """Whether documents have to be read from beginning to end, and can be."""
    if specs is not None and all(spec.name != READER for spec in specs):
        return False
    return whole_document_task(query, context.documents) is not None
