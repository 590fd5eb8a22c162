"""Follow-ups made whole: the query as it would be asked without the turns before it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.llm.builtin_arithmetic import arithmetic_forms
from backend.llm.builtin_choice import PLAUSIBLE, SURE, propose_calls
from backend.llm.builtin_turn import single_value
from backend.models.tools import ToolSpec
from backend.utils.follow_ups import complete_follow_up, is_follow_up, operation_on, stands_alone
from backend.utils.language import stems
from backend.utils.query_text import is_greeting, is_thanks, numbers, put_value, refers_back

MAX_DEPTH = 3
"""Turns a chain of follow-ups is traced back."""
_MARKER = re.compile(r"\s*\[\d{1,3}\]")
_ORDINALS = tuple(
    (
        re.compile(
            rf"\b(?:the|de[rnms]|die|das|l[ea]s?|el|il|o|a)\s+(?:{words})(?:\s+(?:one|value|result|number|answer))?\b",
            re.IGNORECASE,
        ),
        place,
    )
    for place, words in (
        (0, "first|erste[nrs]?|premier|première|primer[oa]?|prim[oa]|primeir[oa]"),
        (1, "second|zweite[nrs]?|deuxième|seconde?|segund[oa]|second[oa]"),
        (2, "third|dritte[nrs]?|troisième|tercer[oa]?|terz[oa]|terceir[oa]"),
        (-1, "last|letzte[nrs]?|dernier|dernière|últim[oa]|ultim[oa]"),
    )
)
_TIMES_OVER = re.compile(
    r"^\W*(?:and |und |et |y |e )?(?:how much|what|how many|wie ?viel|was|combien|cuánto|quanto)\s+(?:\w+\s+){0,"
    r"2}?(?:that|it|this|das|es|cela|ça|eso|questo|"
    r"isso)\b\s*(?:be\s+)?(?:for|in|over|für|in|pour|para|por|per)\s+(?P<n>\d{1,6})\s+[^\W\d_]+\W*$",
    re.IGNORECASE,
)
_INTO_UNIT = re.compile(r"\b(?:in|into|to|en|em|nach|a)\s+(?P<unit>[^\W\d]{1,14})\W*$", re.IGNORECASE)
_WITH_UNIT = re.compile(r"\d\s?(?P<unit>°?[^\W\d]{1,12})\b")
_AMOUNT = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")


def whole_query(
    query: str, earlier: Sequence[str], last_answer: str, specs: Sequence[ToolSpec], depth: int = MAX_DEPTH
) -> str:
    """The query made whole: a follow-up is completed from the turns before where a tool then knows what to do.

    Args:
        query: What was said last.
        earlier: The user's turns before it, newest first; thanks and greetings among them do not count.
        last_answer: What was answered to the newest of them; empty when unknown.
        specs: The tools that may serve it.
        depth: How many turns to go back at most.
    """
    earlier = [turn for turn in earlier if not (is_thanks(turn) or is_greeting(turn))]
    if not earlier or depth == 0 or not (is_follow_up(query) or refers_back(query)):
        return query
    alone = stands_alone(query)
    if alone and propose_calls(alone, specs):
        return alone
    own = propose_calls(query, specs)
    whole = own and own[0].confidence >= SURE and len(numbers(query)) != 1
    if whole and not refers_back(query) and not operation_on(query):
        return query
    for reading in _with_value(query, earlier[0], last_answer):
        if propose_calls(reading, specs):
            return reading
    return _completed(query, whole_query(earlier[0], earlier[1:], "", specs, depth - 1), specs)


def _with_value(query: str, before: str, last_answer: str) -> list[str]:
    """Readings of the query with the value that was answered in the place of "that", "the second one" or nothing."""
    for pattern, place in _ORDINALS:
        values = [value for part in last_answer.split("\n\n") if (value := single_value(_MARKER.sub("", part)))]
        if pattern.search(query) and len(values) > max(place, 1):
            text = pattern.sub(values[place], query, count=1)
            return [*arithmetic_forms(text), text]
    over = _TIMES_OVER.match(query)
    if over:
        amount = single_value(_MARKER.sub("", last_answer)) or _amount_asked_for(before, last_answer)
        return [f"{amount} * {over['n']}"] if amount else []
    value = single_value(last_answer)
    if value is None:
        return []
    if operation_on(query):
        return [f"({value}) {operation_on(query)}" if " " in value else f"{value} {operation_on(query)}"]
    if not refers_back(query):
        return []
    text = put_value(query, value)
    readings = [*arithmetic_forms(text), text]
    measured = _WITH_UNIT.search(before)
    if measured and _INTO_UNIT.search(query):
        readings.append(put_value(query, f"{value} {measured['unit']}"))
    return readings


def _amount_asked_for(before: str, answer: str) -> str | None:
    """The amount in a quoted sentence that is followed by most words of the question before, if just one is."""
    wanted = set(stems(before))
    best: list[tuple[int, str]] = []
    for clause in re.split(r"[,;:]\s|\b(?:and|und|et|y|e)\b", _MARKER.sub("", answer)):
        amounts = list(_AMOUNT.finditer(clause))
        if len(amounts) == 1:
            after = clause[amounts[0].end() :]
            best.append((len(wanted & set(stems(after))), amounts[0].group()))
    best.sort(key=lambda each: -each[0])
    if not best or (len(best) > 1 and best[0][0] == best[1][0]):
        return None
    return best[0][1]


def _completed(query: str, before: str, specs: Sequence[ToolSpec]) -> str:
    """The likeliest of the readings that a tool can do something with; the query itself when there is none."""
    said_before = propose_calls(before, specs)[:1]
    own = propose_calls(query, specs)
    scored = [(own[0].confidence if own else 0.0, query)]
    for reading in complete_follow_up(before, query):
        calls = propose_calls(reading, specs)
        repeats = bool(said_before) and calls[:1] == said_before
        scored.append((calls[0].confidence if calls and not repeats else 0.0, reading))
    best = max(score for score, _ in scored)
    if best < PLAUSIBLE:
        return query
    near = [each for score, each in scored if score >= best - 0.1 and each != query]
    if best < SURE and is_follow_up(query) and near:
        return near[0]
    return next(each for score, each in scored if score == best)
