"""Without a language model, a question that a tool may answer goes to an agent."""

from __future__ import annotations

import pytest

from backend.llm.port import ModelInfo
from backend.models.messages import Message, Route
from backend.tasks.tools_only import TOOLS_ONLY, through_tools
from tests.fakes.toy_specs import ALL

CHAT = Route("chat", "chat", "A general question.", 0.8)
WITHOUT_WORDS = ModelInfo("builtin", "builtin", frozenset({"tools", TOOLS_ONLY}), 1000)
LANGUAGE_MODEL = ModelInfo("m", "ollama", frozenset({"tools"}), 1000)


def asked(*turns: str) -> list[Message]:
    return [Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(turns)]


@pytest.mark.parametrize(
    ("turns", "way"),
    [
        (("What is 12*7?",), "react"),
        (("What does the handbook say about parking?",), "react"),
        (("hello",), "chat"),
        (("thanks!",), "chat"),
        (("Sing me a song",), "chat"),
        (("What does the handbook say about parking?", "Nothing.", "and about vacation?"), "react"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[-1],
)
def test_what_a_tool_can_serve_goes_to_an_agent(turns: tuple[str, ...], way: str) -> None:
    assert through_tools(CHAT, WITHOUT_WORDS, asked(*turns), ALL).agent == way


def test_a_language_model_keeps_the_route() -> None:
    assert through_tools(CHAT, LANGUAGE_MODEL, asked("What is 12*7?"), ALL) is CHAT


def test_an_agent_s_route_is_kept() -> None:
    planned = Route("agentic", "plan_execute", "Two parts.", 0.9)
    assert through_tools(planned, WITHOUT_WORDS, asked("What is 12*7?"), ALL) is planned


def test_pasted_text_is_not_shown_to_every_tool() -> None:
    assert through_tools(CHAT, WITHOUT_WORDS, asked("What is 12*7? " * 3000), ALL) is CHAT
