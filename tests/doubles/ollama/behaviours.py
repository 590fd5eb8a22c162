"""Answers without a script: echo, tool calls, answers from results, plans, text-protocol agents."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.doubles.ollama import planning
from tests.doubles.ollama.answer import Answer, ToolCall, words
from tests.doubles.ollama.intents import MATH_TOOL, RETRIEVAL_TOOL, Wanted, markers, wanted_calls
from tests.doubles.ollama.validation import Call

Messages = list[dict[str, Any]]

RESULT_CHARS = 600
_TOKENS = re.compile(r"\[\[tokens:(\d+)\]\]")
_DELAY = re.compile(r"\[\[delay:(\d+(?:\.\d+)?)\]\]")
_CITATION = re.compile(r"^\s*(\[\d+\]) ", re.MULTILINE)
_FENCED = re.compile(r"<<<DATA (\S*) from [^\n]*>>>\n(.*?)\n<<<END \1>>>", re.DOTALL)
_OBSERVATION = re.compile(r"^Observation:\s*", re.MULTILINE)
_THOUGHT = "I should look at the question first. "


def answer(call: Call, messages: Messages) -> Answer:
    """The built-in answer to the messages that fitted the window."""
    made = _answer(call, messages)
    if call.think != "off":
        made.thinking = words(_THOUGHT + f"The user says: {last_user_text(messages)[:80]}")
    delay = _DELAY.search(last_user_text(messages))
    if delay is not None:
        made.delay_s = float(delay.group(1)) / 1000
    return made


def _answer(call: Call, messages: Messages) -> Answer:
    text = last_user_text(messages)
    if isinstance(call.format, dict):
        value = _json_step(call.format, messages) or planning.structured(call.format, text)
        return Answer(words(json.dumps(value, ensure_ascii=False)), made_by="format")
    if call.format == "json":
        return Answer(words(json.dumps({"answer": f"You said: {text}"}, ensure_ascii=False)), made_by="format")
    results = _results_since_last_user(messages)
    if results:
        return Answer(words(from_results(results)), made_by="results")
    if call.tools:
        calls = wanted_calls(text, offered(call))
        if calls:
            made = [ToolCall(wanted.tool, wanted.arguments) for wanted in calls]
            return Answer(tool_calls=made, made_by="tools")
    elif is_text_protocol(messages):
        return Answer(words(_react_turn(messages)), made_by="react-text")
    return _from_material(messages) or _echo(text)


def last_user_text(messages: Messages) -> str:
    return next((_text(message) for message in reversed(messages) if message["role"] == "user"), "")


def _text(message: dict[str, Any]) -> str:
    content = message.get("content", "")
    return content if isinstance(content, str) else ""


def offered(call: Call) -> set[str]:
    return {str(tool.get("function", {}).get("name", "")) for tool in call.tools}


def _results_since_last_user(messages: Messages) -> list[str]:
    results: list[str] = []
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message["role"] == "user":
            # A user message right behind results is an agent's nudge to answer now, not a new question.
            if index and not results and messages[index - 1]["role"] == "tool":
                continue
            break
        if message["role"] == "tool":
            results.append(_text(message))
    return results[::-1]


def from_results(results: list[str]) -> str:
    """`Result: ` and the head of each result, then the citation markers that the heads left out."""
    bodies = [_FENCED.sub(r"\2", result) for result in results]
    heads = [body[:RESULT_CHARS] for body in bodies]
    text = "Result: " + "\n\n".join(heads)
    cited = dict.fromkeys(marker for body in bodies for marker in _CITATION.findall(body))
    missing = [marker for marker in cited if marker not in text]
    return f"{text} {' '.join(missing)}" if missing else text


def _from_material(messages: Messages) -> Answer | None:
    """An answer from quoted blocks that an agent put into its prompt instead of into tool results."""
    last_user = max((index for index, m in enumerate(messages) if m["role"] == "user"), default=0)
    recent = [m for index, m in enumerate(messages) if index >= last_user or m["role"] == "system"]
    blocks = [block for message in recent for _, block in _FENCED.findall(_text(message))]
    return Answer(words(from_results(blocks)), made_by="material") if blocks else None


def _echo(text: str) -> Answer:
    tokens = _TOKENS.search(text)
    if tokens is not None:
        # Four bytes each, so that the counting rule agrees, and no two neighbours alike, or the guard against
        # repetition would step in.
        return Answer([f"{number % 1000:03d} " for number in range(int(tokens.group(1)))], made_by="tokens")
    return Answer(words(f"You said: {text}"), made_by="echo")


def is_text_protocol(messages: Messages) -> bool:
    system = "\n".join(_text(message) for message in messages if message["role"] == "system")
    return "Action:" in system and "Action Input:" in system


def _react_turn(messages: Messages) -> str:
    """One turn of Thought / Action / Action Input, or the final answer once observations cover what was asked."""
    wanted, final = _next_action(messages)
    if wanted is not None:
        arguments = json.dumps(wanted.arguments, ensure_ascii=False)
        return f"Thought: I need {wanted.tool} for this.\nAction: {wanted.tool}\nAction Input: {arguments}"
    return f"Thought: I can answer now.\nFinal Answer: {final}"


def _json_step(schema: dict[str, Any], messages: Messages) -> dict[str, Any] | None:
    """The same turn as an object, for a schema with `action` (an enum) and `action_input`; None for other schemas.

    The name in the enum that is no tool's (it holds `answer` or `finish`) takes the final answer.
    """
    properties = schema.get("properties") or {}
    names = (properties.get("action") or {}).get("enum") or []
    if "action_input" not in properties or not names:
        return None
    wanted, final = _next_action(messages)
    if wanted is not None and wanted.tool in names:
        return {"thought": f"I need {wanted.tool} for this.", "action": wanted.tool, "action_input": wanted.arguments}
    ending = next((name for name in names if "answer" in name or "finish" in name), names[-1])
    return {"thought": "I can answer now.", "action": ending, "action_input": final}


def _next_action(messages: Messages) -> tuple[Wanted | None, str]:
    """The next call, or None and the final answer once observations cover what was asked."""
    question_at = max(
        (i for i, m in enumerate(messages) if m["role"] == "user" and not _OBSERVATION.match(_text(m))), default=0
    )
    question_text = _text(messages[question_at])
    question = _OBSERVATION.split(question_text)[0]
    observations = [
        part for m in messages[question_at:] if m["role"] != "system" for part in _OBSERVATION.split(_text(m))[1:]
    ]
    wanted = _react_wanted(messages, question)
    if len(observations) < len(wanted):
        return wanted[len(observations)], ""
    return None, from_results([part.strip() for part in observations]) if observations else f"You said: {question}"


def _react_wanted(messages: Messages, question: str) -> list[Wanted]:
    system = "\n".join(_text(message) for message in messages if message["role"] == "system")
    named = {tool for tool in (MATH_TOOL, RETRIEVAL_TOOL) if tool in system}
    return markers(question) or wanted_calls(question, named)
