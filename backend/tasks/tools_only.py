"""The way of a query when no language model serves: a plain completion can answer nothing, but a tool may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backend.llm.port import ModelInfo
from backend.models.messages import Message, Route
from backend.models.tools import ToolSpec
from backend.utils.follow_ups import complete_follow_up, is_follow_up
from backend.utils.query_text import is_greeting, is_thanks

TOOLS_ONLY = "tools_only"
"""The capability of a model that writes nothing but what its tools find."""
PLAUSIBLE = 0.5
"""Confidence from which a tool's proposal is worth a run."""
MAX_QUERY = 20_000
"""Longer queries are pasted text; asking every tool about them would take longer than the answer."""
AGENT = "react"


def through_tools(route: Route, model: ModelInfo, messages: Sequence[Message], specs: Sequence[ToolSpec]) -> Route:
    """The route, or an agent's where the model has no words of its own and some tool would do something.

    A language model answers "Who is the caretaker?" from what it knows; without one, only the user's documents can.
    """
    if route.task != "chat" or TOOLS_ONLY not in model.capabilities or not _served(messages, specs):
        return route
    reason = "No language model is there to answer in its own words; a tool may find something."
    return replace(route, task="agentic", agent=AGENT, reason=reason)


def _served(messages: Sequence[Message], specs: Sequence[ToolSpec]) -> bool:
    asked = [message.content for message in messages if message.role == "user"]
    if not asked or len(asked[-1]) > MAX_QUERY or is_greeting(asked[-1]) or is_thanks(asked[-1]):
        return False
    follows = len(asked) > 1 and len(asked[-2]) <= MAX_QUERY and is_follow_up(asked[-1])
    readings = [asked[-1], *(complete_follow_up(asked[-2], asked[-1]) if follows else ())]
    return any(
        proposal.confidence >= PLAUSIBLE
        for reading in readings
        for spec in specs
        if spec.propose is not None
        for proposal in spec.propose(reading)
    )
