"""The plan of a run: its schema, reading it from a model's text, and making one without a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from backend.core.json_text import first_json
from backend.core.tool_runs import canonical
from backend.core.toolbox import ToolOutcome, cut
from backend.models.tools import Proposal, ToolSpec

MAX_STEPS = 12
MAX_SHORT_VALUE_CHARS = 4_000
MAX_FIELD_CHARS = 20_000
MAX_FILLED_CHARS = 40_000
"""What results may add to one input altogether: an input can name a result any number of times."""
MAX_PURPOSE_CHARS = 300
MIN_CONFIDENCE = 0.5

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_-]{1,64})(?:\.([A-Za-z0-9_]{1,64}))?\s*\}\}")
SENTENCES = re.compile(r"(?<=[.?!;])\s+|\n+")
CLAUSES = re.compile(
    r"(?<=[.?!;])\s+|\n+|,?\s+\b(?:and(?: then| also)?|then|also|und|sowie|et|puis)\b\s+", re.IGNORECASE
)


class PlanProblem(ValueError):
    """Why a plan cannot be used: one sentence for the model."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call of a plan. `depends_on` names steps of this plan or of an earlier round."""

    id: str
    tool: str
    input: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    purpose: str = ""

    @property
    def key(self) -> tuple[str, bytes]:
        """Equal for steps that would do the same."""
        if self.depends_on and not self.references:
            # The input is a draft, to be written anew from these results.
            return canonical(self.tool, {"input": self.input, "from": list(self.depends_on)})
        return canonical(self.tool, self.input)

    @property
    def references(self) -> frozenset[str]:
        """Ids of the steps whose results are written into the input as `{{id}}`."""
        return frozenset(found[1] for text in _texts(self.input) for found in _PLACEHOLDER.finditer(text))


def plan_schema(tools: Sequence[str]) -> dict[str, Any]:
    """What a planner must write. The purpose comes first, so that the reason is written before the decision."""
    step = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "purpose": {"type": "string"},
            "tool": {"type": "string", "enum": list(tools)},
            "input": {"type": "object"},
            "depends_on": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["id", "purpose", "tool", "input", "depends_on"],
    }
    return {
        "type": "object",
        "properties": {"steps": {"type": "array", "maxItems": MAX_STEPS, "items": step}},
        "required": ["steps"],
    }


def read_plan(text: str, tools: Iterable[str], earlier: Iterable[str] = ()) -> tuple[Step, ...]:
    """The steps of a model's plan. `earlier` are ids of steps already taken, which new ones may depend on.

    Repaired: fences and talk around the JSON, a bare list, an input as JSON text, ids that are missing or cannot be
    referred to, missing dependencies, a tool's name in another case or with a prefix. Raises PlanProblem: no JSON,
    an unknown tool, a repeated id, an unknown dependency, a cycle, too many steps, an input that is no object.
    """
    value = first_json(text)
    if isinstance(value, dict):
        value = value.get("steps", value.get("plan"))
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise PlanProblem('It must be one JSON object of the form {"steps": [...]}.')
    if len(value) > MAX_STEPS:
        raise PlanProblem(f"It has {len(value)} steps; at most {MAX_STEPS} are allowed.")
    known, before = tuple(tools), frozenset(earlier)
    names = _identities(value)
    ids = {*names.values(), *before}
    steps = tuple(_read_step(item, names[at], names, ids, known) for at, item in enumerate(value))
    check_plan(steps, known, before)
    return steps


def _identities(items: Sequence[Mapping[str, Any]]) -> dict[int | str, str]:
    """The id of each step by position; an id nobody can refer to gets a new one, found by its old text as well."""
    given = [str(item.get("id") if item.get("id") is not None else "").strip() for item in items]
    taken = {each for each in given if _ID.fullmatch(each)}
    names: dict[int | str, str] = {}
    for at, old in enumerate(given):
        if old in taken:
            names[at] = old
            continue
        number = at + 1
        while f"s{number}" in taken:
            number += 1
        names[at] = f"s{number}"
        taken.add(names[at])
        if old:
            names[old] = names[at]
    return names


def _read_step(
    item: Mapping[str, Any], identity: str, names: Mapping[int | str, str], ids: set[str], tools: Sequence[str]
) -> Step:
    given = item.get("input", item.get("arguments", {}))
    if isinstance(given, str):
        decoded = first_json(given)
        given = decoded if isinstance(decoded, dict) else given
    if not isinstance(given, dict):
        raise PlanProblem(f"The input of step {identity} must be an object.")
    if not sendable(given):
        raise PlanProblem(f"The input of step {identity} holds what JSON cannot carry; write long numbers as text.")
    needs = item.get("depends_on") or ()
    needed = [needs] if isinstance(needs, (str, int)) else needs if isinstance(needs, list) else []
    purpose = _one_line(str(item.get("purpose") or ""), MAX_PURPOSE_CHARS)
    step = Step(identity, _tool_named(str(item.get("tool", "")), tools), given, (), purpose)
    meant = [_meant(str(each).strip(), names, ids) for each in needed]
    return replace(step, depends_on=tuple(dict.fromkeys([*meant, *sorted(step.references)])))


def _meant(needed: str, names: Mapping[int | str, str], ids: set[str]) -> str:
    """The id of a dependency: `1` is often written for `s1`."""
    needed = names.get(needed, needed)
    return f"s{needed}" if needed not in ids and f"s{needed}" in ids else needed


def _tool_named(text: str, tools: Sequence[str]) -> str:
    name = text.strip()
    if name in tools:
        return name
    bare = name.rsplit(".", 1)[-1].casefold()
    return next((tool for tool in tools if tool.casefold() == bare), _one_line(name, 64))


def _one_line(text: str, limit: int) -> str:
    """A model's words as they may be passed on: without line breaks and broken characters, cut."""
    return " ".join(text[: limit * 4].split())[:limit].encode("utf-8", "replace").decode()


def sendable(value: Any) -> bool:
    """Whether a value survives as JSON: a model can write numbers beyond 64 bits and halves of characters."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def check_plan(steps: Sequence[Step], tools: Iterable[str], earlier: Iterable[str] = ()) -> None:
    """Raises PlanProblem with the first reason why these steps cannot be carried out."""
    known, done, ids = set(tools), set(earlier), [step.id for step in steps]
    for step in steps:
        if step.tool not in known:
            raise PlanProblem(f"There is no tool {step.tool[:64]!r}; the tools are {', '.join(sorted(known))}.")
        if ids.count(step.id) > 1:
            raise PlanProblem(f"The id {step.id[:32]!r} is used twice.")
        for needed in step.depends_on:
            if needed not in ids and needed not in done:
                raise PlanProblem(
                    f"Step {step.id[:32]} depends on {_one_line(needed, 32)!r}, which does not exist or has failed."
                )
    _refuse_cycle({step.id: {each for each in step.depends_on if each in ids} for step in steps})


def _refuse_cycle(needs: dict[str, set[str]]) -> None:
    while needs:
        free = {name for name, needed in needs.items() if not needed}
        if not free:
            raise PlanProblem(f"The steps {', '.join(sorted(needs))[:200]} wait for each other.")
        needs = {name: needed - free for name, needed in needs.items() if name not in free}


def renamed(steps: Sequence[Step], taken: Iterable[str]) -> tuple[Step, ...]:
    """The steps with ids not used in earlier rounds; references inside the plan follow.

    An id of an earlier round that no new step uses keeps pointing at the earlier result.
    """
    used = set(taken)
    names: dict[str, str] = {}
    number = len(used)
    for step in steps:
        name = step.id
        while name in used:
            number += 1
            name = f"s{number}"
        used.add(name)
        names[step.id] = name
    if all(old == new for old, new in names.items()):
        return tuple(steps)

    def follow(found: re.Match[str]) -> str:
        return found.group().replace(found[1], names.get(found[1], found[1]), 1)

    return tuple(
        Step(
            names[step.id],
            step.tool,
            _mapped(step.input, lambda text: _PLACEHOLDER.sub(follow, text)),
            tuple(names.get(each, each) for each in step.depends_on),
            step.purpose,
        )
        for step in steps
    )


def filled(step: Step, results: Mapping[str, ToolOutcome]) -> Mapping[str, Any]:
    """The step's input with every `{{id}}` replaced by that step's short value, every `{{id.key}}` by a field.

    Placeholders beyond MAX_FILLED_CHARS stay as they are.
    """
    room = MAX_FILLED_CHARS

    def value(found: re.Match[str]) -> str:
        nonlocal room
        outcome = results.get(found[1])
        text = found.group() if outcome is None else short_value(outcome, found[2])
        if len(text) > room:
            return found.group()
        room -= len(text)
        return text

    filled_in: Mapping[str, Any] = _mapped(step.input, lambda text: _PLACEHOLDER.sub(value, text))
    return filled_in


def short_value(outcome: ToolOutcome, key: str | None = None) -> str:
    """A result as the value of a later input: the field asked for, the number, the exact value, or the text."""
    data = outcome.result.data
    if isinstance(data, dict):
        for name in (key,) if key else ("numeric", "exact"):
            if data.get(name) is not None:
                found = data[name]
                return cut(found if isinstance(found, str) else orjson.dumps(found).decode(), MAX_FIELD_CHARS)
    quotes = "\n".join(source.quote for source in outcome.result.sources)
    return cut("\n".join(part for part in (outcome.result.text, quotes) if part), MAX_SHORT_VALUE_CHARS)


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


# ---- without a model ----------------------------------------------------------------------------


def propose_plan(query: str, specs: Sequence[ToolSpec]) -> tuple[Step, ...]:
    """A plan made of what the tools themselves propose for the query and its parts; empty when none does.

    Of each tool the reading is taken that finds most: of the sentences, of the whole query, or of the clauses, in
    that order when they find equally much (a sentence is the cleanest input; cutting one may lose something). At
    most MAX_STEPS, the most confident first; all independent.
    """
    readings = (cut_up(query, SENTENCES), (query,), cut_up(query, CLAUSES))
    found: list[tuple[Proposal, str, str]] = []
    for spec in specs:
        best = max((_proposed(spec, texts) for texts in readings), key=len)
        found += [(proposal, spec.name, part) for proposal, part in best]
    found.sort(key=lambda each: -each[0].confidence)
    return tuple(
        Step(f"s{number}", tool, proposal.arguments, (), cut(" ".join(part.split()), 120))
        for number, (proposal, tool, part) in enumerate(found[:MAX_STEPS], 1)
    )


def cut_up(query: str, at: re.Pattern[str]) -> tuple[str, ...]:
    """The pieces of a query in order, at most MAX_STEPS, without crumbs; empty when there is only one."""
    pieces = [piece.strip() for piece in at.split(query) if piece and len(piece.strip()) > 3]
    return tuple(dict.fromkeys(pieces))[:MAX_STEPS] if len(pieces) > 1 else ()


def _proposed(spec: ToolSpec, texts: Sequence[str]) -> list[tuple[Proposal, str]]:
    """What a tool proposes for the texts, each different call once, with the text it comes from."""
    if spec.propose is None:
        return []
    found: dict[tuple[str, bytes], tuple[Proposal, str]] = {}
    for text in texts:
        for proposal in spec.propose(text):
            if proposal.confidence >= MIN_CONFIDENCE:
                found.setdefault(canonical(spec.name, proposal.arguments), (proposal, text))
    return list(found.values())
