"""Choosing tool calls for a query without a language model: each tool is asked what it would do with each part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.llm.builtin_arithmetic import arithmetic_forms
from backend.llm.builtin_turn import Result
from backend.models.tools import ToolSpec
from backend.utils.query_text import (
    MAX_SPLIT_CHARS,
    Part,
    asks_statistics_of_one,
    compared,
    find_tool_name,
    has_inline_data,
    is_request,
    numbers,
    put_value,
    refers_back,
    split_parts,
)

PLAUSIBLE = 0.5
"""A proposal below this is not acted upon."""
SURE = 0.8
FORMAL = 0.95
"""A statement in a formal language stands in the text, not words about one."""
MAX_ALTERNATIVES = 2
"""Ways tried for one part before its failure is reported."""
ALTERNATIVE = 0.6
"""What another call must reach to be tried after the first has failed."""
SEARCH_HANDICAP = 0.1
_THERE = re.compile(
    r"\s+(?:there|in there|in it|in that (?:file|table)|dort|darin|là|là-dedans|allí|ahí|lì|lá|nela?)\W*$",
    re.IGNORECASE,
)
STAND_IN = "918273645"
"""Stands for an earlier result while a tool is asked what it would do with it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool and its arguments, and how sure the tool is of them."""

    name: str
    arguments: Mapping[str, Any]
    confidence: float


@dataclass(frozen=True, slots=True)
class Need:
    """A part of the query with the calls that may serve it, best first.

    `depends_on` is the position of the need whose value takes the place of the stand-in in the arguments.
    """

    text: str
    options: tuple[Call, ...] = ()
    depends_on: int | None = None


@dataclass(slots=True)
class Progress:
    """A need and what has come of it. `results` belong to its options in the order tried."""

    need: Need
    results: list[Result] = field(default_factory=list)
    tried: int = 0
    next_call: Call | None = None

    @property
    def succeeded(self) -> Result | None:
        return next((each for each in self.results if each.error is None), None)


def propose_calls(text: str, specs: Sequence[ToolSpec], threshold: float = PLAUSIBLE) -> tuple[Call, ...]:
    """What the tools propose for a text, best first; equal ones in the order of the tools.

    A search by the text's own words counts for a little less than a call made of something found in the text.
    """
    found: list[tuple[float, Call]] = []
    for spec in specs:
        for proposal in spec.propose(text) if spec.propose is not None else ():
            if proposal.confidence >= threshold:
                call = Call(spec.name, dict(proposal.arguments), proposal.confidence)
                found.append((call.confidence - (SEARCH_HANDICAP if _searches(spec, call, text) else 0.0), call))
    return tuple(call for _, call in sorted(found, key=lambda each: -each[0]))


def _covers(call: Call, query: str) -> bool:
    """Whether most of the query is one statement that the call is made of: its commas and "and"s part nothing."""
    statements = [value for value in call.arguments.values() if isinstance(value, str) and value != query.strip()]
    return any(len(value) >= 0.6 * len(query) for value in statements) or query.strip() in call.arguments.values()


def _searches(spec: ToolSpec, call: Call, text: str) -> bool:
    asked = text.strip()
    passed_on = bool(call.arguments) and all(value in (asked, asked[:2000]) for value in call.arguments.values())
    return passed_on or any(call.arguments.get(name) == asked for name in spec.parameters.get("required", ()))


def find_needs(query: str, specs: Sequence[ToolSpec]) -> list[Need]:
    """The parts of a query that tools can serve, in order, and requests that none can (without options)."""
    named = named_tool(query, specs)
    whole = propose_calls(query, specs)
    parts = _with_premises(split_parts(query))
    if named is not None and len(parts) == 1:
        return [Need(query, (named,))]
    if len(parts) == 1 or (has_inline_data(query) and whole and whole[0].confidence >= SURE):
        return _one_need(query, whole)
    if whole and whole[0].confidence >= FORMAL and _covers(whole[0], query):
        return [Need(query, whole)]
    needs = _needs_of(parts, specs)
    served = [need for need in needs if need.options]
    if not served:
        return _one_need(query, whole)
    if len(needs) == 1 and whole and whole[0].confidence >= served[0].options[0].confidence:
        return [Need(query, whole)]
    return needs


def _with_premises(parts: Sequence[Part]) -> tuple[Part, ...]:
    """A statement with numbers belongs to the question after it: "It costs 120, reduced by 15%. What do I pay?"."""
    out: list[Part] = []
    premise = ""
    for part in parts:
        if premise or (not is_request(part.text) and re.search(r"\d", part.text) and not refers_back(part.text)):
            joined = f"{premise} {part.text}".strip()
            premise = "" if is_request(part.text) else joined
            if not premise:
                out.append(Part(joined))
        else:
            out.append(part)
    return (*out, Part(premise)) if premise else tuple(out)


def _one_need(query: str, whole: tuple[Call, ...]) -> list[Need]:
    if not whole:
        return []
    if asks_statistics_of_one(query):
        return [Need(query, tuple(sorted(whole, key=lambda call: -_numbers_held(call, query))[:1]))]
    return _both_compared(query, whole) or _both_named(query, whole) or _each_found(Need(query, whole))


def _numbers_held(call: Call, query: str) -> int:
    """How many of the query's numbers a call works on: a call that took only some has misread the list."""
    asked = " ".join(str(value) for value in call.arguments.values() if value != query)
    return len(set(numbers(query)) & set(numbers(asked)))


def _each_found(need: Need) -> list[Need]:
    """A tool that is sure of several things in one text ("3*4 and 5*6") gets a call for each."""
    best = need.options[0] if need.options else None
    sure = [call for call in need.options if best and call.name == best.name and call.confidence >= SURE]
    return [Need(need.text, (call,)) for call in sure] if len(sure) > 1 else [need]


def _needs_of(parts: Sequence[Part], specs: Sequence[ToolSpec]) -> list[Need]:
    needs: list[Need] = []
    for part in parts:
        need = _dependent_need(part, needs, specs) if part.depends else None
        if need is None:
            named = named_tool(part.text, specs)
            options = (named,) if named else propose_calls(part.text, specs)
            if part.depends and needs and (not options or options[0].confidence < SURE):
                options = propose_calls(f"{needs[-1].text.rstrip('?!. ')} {part.text}", specs) or options
            options = _in_same_file(part.text, options, needs, specs) or options
            need = Need(part.text, options)
        if need.options and any(need.options[0] == other.options[0] for other in needs if other.options):
            continue
        if need.depends_on is not None:
            needs.append(need)
        elif need.options or is_request(part.text):
            needs += _each_found(need)
    return needs


def _in_same_file(
    text: str, options: Sequence[Call], needs: Sequence[Need], specs: Sequence[ToolSpec]
) -> tuple[Call, ...]:
    """For a part that is sure of nothing itself: the call it would make if it named the file of the part before."""
    before = next((need.options[0] for need in reversed(needs) if need.options), None)
    if before is None or (options and options[0].confidence >= SURE):
        return ()
    file = before.arguments.get("file")
    if not isinstance(file, str):
        return ()
    bare = _THERE.sub("", text.rstrip("?!. "))
    found = propose_calls(f"{bare} in {file}?", [spec for spec in specs if spec.name == before.name])
    return found if found and found[0].confidence >= SURE else ()


def _dependent_need(part: Part, needs: Sequence[Need], specs: Sequence[ToolSpec]) -> Need | None:
    """A part that computes on with an earlier value, if a tool knows what to do with such a value."""
    before = next((i for i in range(len(needs) - 1, -1, -1) if needs[i].options), None)
    if before is None:
        return None
    text = put_value(part.text, STAND_IN)
    for asked in (*arithmetic_forms(text), text):
        options = tuple(call for call in propose_calls(asked, specs) if _holds(call.arguments, STAND_IN))
        if options and options[0].confidence >= PLAUSIBLE and not _takes_text(options[0], asked):
            return Need(part.text, options, before)
    return None


def _takes_text(call: Call, text: str) -> bool:
    """Whether the call merely passes the words on, as a search does, instead of computing with the value."""
    longest = max((value for value in call.arguments.values() if isinstance(value, str)), key=len, default="")
    return len(re.findall(r"[^\W\d_]{3,}", longest)) >= 3 and longest.strip(" ?.!") in text


def _both_compared(query: str, whole: Sequence[Call]) -> list[Need]:
    """ "Compare A and B" for a tool that takes the query's own words: one call for each of the two."""
    pair = compared(query)
    if pair is None:
        return []
    first, second, about = pair
    call = whole[0]
    for key, value in call.arguments.items():
        if isinstance(value, str) and first.lower() in value.lower() and second.lower() in value.lower():
            rest = "" if about.lower() not in value.lower() else f" {about}"
            return [
                Need(
                    f"{each}{rest}",
                    (Call(call.name, {**call.arguments, key: f"{each}{rest}".strip()}, call.confidence),),
                )
                for each in (first, second)
            ]
    return []


def _both_named(query: str, whole: Sequence[Call]) -> list[Need]:
    """ "weather in Paris and Rome": an argument that is only two names becomes two calls."""
    call = whole[0]
    for key, value in call.arguments.items():
        if not isinstance(value, str) or len(value.split()) > 6 or value.strip().lower() == query.strip(" ?!.").lower():
            continue
        names = re.split(r"\s*,\s*(?:and\s+)?|\s+(?:and|und|et|y|e)\s+", value.strip(" ?!."))
        if len(names) > 1 and all(
            re.fullmatch(r"[^\W\d_]{2,}(?:[ -][^\W\d_]+){0,2}", name) and name[0].isupper() for name in names
        ):
            return [Need(name, (Call(call.name, {**call.arguments, key: name}, call.confidence),)) for name in names]
    return []


# ---- filling in by name -------------------------------------------------------------------------

_NO_PLAIN_TEXT = re.compile(
    r"\b(?:sql|code|expression|json|csv|regex|formula|path|url|date|id|base64)\b", re.IGNORECASE
)
_PLACE = re.compile(r"\b(?:in|for|at|near|für|à|en|a|per|di|de)\s+([^\W\d_].*?)[?!. ]*$", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“„«]\s*([^\"”“»]{1,500}?)\s*[\"”“»]|`([^`]{1,500})`|(?<!\w)'([^']{1,500})'(?!\w)")


def named_tool(query: str, specs: Sequence[ToolSpec]) -> Call | None:
    """The call for a tool that the query names ("use weather for Berlin"), filled from what else it says."""
    for spec in specs:
        found = find_tool_name(query, spec.name)
        if found is None:
            continue
        rest = (query[: found.start()] + " " + query[found.end() :]).strip()
        rest = re.sub(
            r"^(?:please|bitte)?[\s,:]*(?:to|for|on|and|um|für|pour|para|per|with|mit)?[\s,:]+", "", " " + rest
        ).strip(" ,:")
        proposals = propose_calls(rest, [spec], 0.0) or propose_calls(query, [spec], 0.0)
        if proposals:
            return Call(spec.name, proposals[0].arguments, 1.0)
        arguments = fill_arguments(spec, rest or query)
        if arguments is not None:
            return Call(spec.name, arguments, 1.0)
    return None


def fill_arguments(spec: ToolSpec, text: str, *, by_name: bool = True) -> dict[str, Any] | None:
    """The required arguments of a tool taken from a text, or None when they cannot be.

    The one required string gets the text (its quoted piece, its place); numbers are taken in order, choices by
    their names. `by_name` False is stricter: only an argument that takes plain language is filled.
    """
    properties: dict[str, Mapping[str, Any]] = {
        name: schema if isinstance(schema, Mapping) else {}
        for name, schema in spec.parameters.get("properties", {}).items()
    }
    required = [name for name in spec.parameters.get("required", ()) if name in properties]
    if not required:
        strings = [name for name, schema in properties.items() if schema.get("type") == "string"]
        if len(strings) != 1:
            return {} if not properties or by_name else None
        required = strings
    available: list[str] | None = None
    out: dict[str, Any] = {}
    free_text = 0
    for name in required:
        schema = properties[name]
        kind = schema.get("type")
        if "enum" in schema:
            chosen = next((each for each in schema["enum"] if str(each).lower() in text.lower()), None)
            if chosen is None:
                return None
            out[name] = chosen
        elif kind in ("integer", "number"):
            if available is None:
                available = numbers(text)
            if not available:
                return None
            figure = available.pop(0).rstrip("% ").replace(",", ".")
            try:
                out[name] = int(figure) if kind == "integer" else float(figure)
            except ValueError:
                return None
        elif kind == "string":
            described = f"{name} {schema.get('description', '')}".replace("_", " ")
            if not by_name and _NO_PLAIN_TEXT.search(described):
                return None
            free_text += 1
            out[name] = _text_argument(name, text)
        else:
            return None
    return out if free_text <= 1 and all(value != "" for value in out.values()) else None


def _text_argument(name: str, text: str) -> str:
    # Of a long text only its beginning is looked through: the whole takes seconds, and is pasted.
    quoted = _QUOTED.search(text, 0, MAX_SPLIT_CHARS)
    if quoted:
        return next(group for group in quoted.groups() if group)
    if re.search(r"location|city|place|town|country", name, re.IGNORECASE):
        place = _PLACE.search(text, 0, MAX_SPLIT_CHARS)
        if place:
            return place[1].strip()
    return text.strip()


# ---- what is done and what comes next -----------------------------------------------------------


def weigh_progress(needs: Sequence[Need], results: Sequence[Result], *, planning: bool = False) -> list[Progress]:
    """Which results belong to which need, and the call to make next for each need that lacks one.

    `planning`: a call that waits for another need of the same round is given with a `{{sN}}` stand-in left in.
    """
    left = list(results)
    out: list[Progress] = []
    for need in needs:
        at = Progress(need)
        out.append(at)
        value = None
        if need.depends_on is not None:
            source = out[need.depends_on].succeeded
            value = source.value if source else None
        others = [option for option in need.options[1:MAX_ALTERNATIVES] if option.confidence >= ALTERNATIVE]
        for option in (*need.options[:1], *others):
            call = option if value is None else put_into(option, value)
            result = _take(left, call, waiting=need.depends_on is not None)
            if result is not None:
                at.results.append(result)
                at.tried += 1
                if result.error is None:
                    break
                continue
            ready = need.depends_on is None or value is not None or (planning and not out[need.depends_on].results)
            at.next_call = call if ready else None
            break
    return out


def put_into(call: Call, value: str) -> Call:
    """The call with the stand-in replaced by a value; in an expression a negative or compound value is bracketed."""

    def filled(found: Any) -> Any:
        if isinstance(found, str):
            bare = re.fullmatch(r"\d+(?:\.\d+)?", value) or found.strip() == STAND_IN
            return found.replace(STAND_IN, value if bare else f"({value})")
        if isinstance(found, (int, float)) and not isinstance(found, bool) and str(found).split(".")[0] == STAND_IN:
            return float(value) if re.fullmatch(r"-?\d+(?:\.\d+)?", value) else value
        if isinstance(found, Mapping):
            return {key: filled(each) for key, each in found.items()}
        return [filled(each) for each in found] if isinstance(found, (list, tuple)) else found

    return Call(call.name, {key: filled(each) for key, each in call.arguments.items()}, call.confidence)


def _holds(found: Any, text: str) -> bool:
    if isinstance(found, Mapping):
        return any(_holds(each, text) for each in found.values())
    if isinstance(found, (list, tuple)):
        return any(_holds(each, text) for each in found)
    return text in str(found)


def _take(left: list[Result], call: Call, *, waiting: bool) -> Result | None:
    """The result of a call, taken out of `left`: equal arguments, or the tool's name where they are unknown."""
    for index, result in enumerate(left):
        if result.name == call.name and result.arguments and _same(result.arguments, call.arguments):
            return left.pop(index)
    for index, result in enumerate(left):
        if result.name == call.name and (not result.arguments or waiting):
            return left.pop(index)
    return None


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(str(one.get(key)) == str(value) for key, value in other.items())
