"""What a user's text asks for: tool markers, arithmetic, documents."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MATH_TOOL, RETRIEVAL_TOOL = "math_calc", "rag_retrieval"

_MARKER = re.compile(r"\[\[tool:([^:\]\s]+)(:)?")
_DOCUMENTS = re.compile(r"\b(documents?|handbook|files?|pdf|uploaded|according to)\b", re.IGNORECASE)
_WORD_OPERATORS = (
    (r"\b(?:divided by|over)\b", "/"),
    (r"\b(?:times|multiplied by)\b", "*"),
    (r"\bplus\b", "+"),
    (r"\bminus\b", "-"),
    (r"\b(?:to the power of|raised to)\b", "**"),
    (r"\bsquared\b", "**2"),
    (r"\bcubed\b", "**3"),
    (r"\bsquare root of\s+(\d+(?:\.\d+)?)", r"sqrt(\1)"),
    (r"(\d+(?:\.\d+)?)\s*(?:%|percent) of\s+", r"\1/100*"),
    (r"(?<=\d)\s*[×x]\s*(?=\d)", "*"),
    (r"÷", "/"),
)
_TERM = r"[(\s]*(?:(?:sqrt|sin|cos|tan|log|exp|abs)\([^()]*\)|-?\d+(?:\.\d+)?)[)\s]*(?:%|!)?"
_EXPRESSION = re.compile(
    rf"{_TERM}(?:\s*(?:\*\*|[-+*/^])\s*{_TERM})+|(?:sqrt|sin|cos|tan|log|exp|abs)\([^()]*\d[^()]*\)"
)
_QUESTION = re.compile(r"^(?:question|query|request|task)\s*:\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_SPLIT = re.compile(r"\s+and\s+|\s*;\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One tool call the text asks for."""

    tool: str
    arguments: dict[str, Any]
    text: str = ""


def markers(text: str) -> list[Wanted]:
    """Every `[[tool:NAME:{json}]]` or `[[tool:NAME]]`; unreadable JSON counts as no arguments."""
    found = []
    for match in _MARKER.finditer(text):
        arguments: Any = {}
        if match.group(2):
            try:
                arguments, _ = json.JSONDecoder().raw_decode(text[match.end() :].lstrip())
            except ValueError:
                arguments = {}
        found.append(Wanted(match.group(1), arguments if isinstance(arguments, dict) else {"input": arguments}, text))
    return found


def expression_in(text: str) -> str | None:
    """The arithmetic in a text, as an expression, or None."""
    for pattern, operator in _WORD_OPERATORS:
        text = re.sub(pattern, operator, text, flags=re.IGNORECASE)
    candidates = [_balanced(match.group()) for match in _EXPRESSION.finditer(text)]
    return max(candidates, key=len, default=None) or None


def _balanced(expression: str) -> str:
    expression = expression.strip()
    while expression.count(")") > expression.count("(") and expression.endswith(")"):
        expression = expression[:-1].rstrip()
    while expression.count("(") > expression.count(")") and expression.startswith("("):
        expression = expression[1:].lstrip()
    return expression


def asks_for_documents(text: str) -> bool:
    return _DOCUMENTS.search(text) is not None


def question_in(text: str) -> str:
    """What follows the last `Question:` (or Query, Request, Task) that begins a line, else the whole text."""
    found = _QUESTION.findall(text)
    return str(found[-1]).strip() if found else text


def wanted_calls(text: str, offered: set[str]) -> list[Wanted]:
    """The calls for one turn: all markers, else arithmetic, else retrieval, each only when its tool is offered."""
    marked = markers(text)
    if marked:
        return marked
    text = question_in(text)
    expression = expression_in(text) if MATH_TOOL in offered else None
    if expression is not None:
        return [Wanted(MATH_TOOL, {"expression": expression}, text)]
    if RETRIEVAL_TOOL in offered and asks_for_documents(text):
        return [Wanted(RETRIEVAL_TOOL, {"query": text}, text)]
    return []


def wanted_parts(text: str) -> list[Wanted]:
    """The pieces of a compound request, for a plan: one per marker, or per recognised part."""
    marked = markers(text)
    if marked:
        return marked
    everything = {MATH_TOOL, RETRIEVAL_TOOL}
    return [call for part in _SPLIT.split(question_in(text)) for call in wanted_calls(part.strip(" ?.!"), everything)]
