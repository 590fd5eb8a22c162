"""The ReAct loop as JSON, for models that cannot call tools but keep to a schema: thought, action, action_input."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from backend.core import prompts
from backend.core.bounds import MAX_ARGUMENT_CHARS
from backend.core.collect import shortened
from backend.core.json_stream import Brackets, StringDecoder
from backend.core.json_text import first_object
from backend.core.react_text import only_text
from backend.core.react_turns import Turn, in_turns
from backend.llm.port import Model, ResponseFormat
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, ToolCall, ToolCallMade
from backend.models.run import RunContext
from backend.models.tools import ToolSpec

FINAL = "final_answer"
FORMAT_NAME = "react_step"
TEMPERATURE = 0.2
"""For callers who wish none: a decision under a grammar should not be left to chance."""
MAX_BLANKS = 200
MAX_TRAILING_CHARS = 200
"""What may follow the object before the rest of the stream is given up."""
MAX_HEAD_CHARS = 300
MAX_REST_CHARS = MAX_ARGUMENT_CHARS * 3 // 2
"""Arguments as long as they may be, with every fifth character escaped or so."""
_THOUGHT = re.compile(r'\s*(?:```(?:json)?\s*)?\{\s*"thought"\s*:\s*"')
_ACTION = re.compile(
    r'\s*(?:,|(?:```(?:json)?\s*)?\{)\s*"action"\s*:\s*"((?:[^"\\]|\\.)*)"\s*,\s*"action_input"\s*:\s*(.)', re.DOTALL
)
_ANSWER_KEYS = ("answer", "final_answer", "text", "response", "content", "output", "result")


def step_schema(names: Sequence[str]) -> dict[str, Any]:
    """The schema of one step: any of the tools, or the answer; without names only the answer.

    Grammars write required fields in this order, so that the model thinks before it decides.
    """
    return {
        "type": "object",
        "properties": {
            "thought": {"type": "string"},
            "action": {"type": "string", "enum": [*names, FINAL]},
            "action_input": {"type": ["object", "string"] if names else "string"},
        },
        "required": ["thought", "action", "action_input"],
        "additionalProperties": False,
    }


@dataclass(slots=True)
class JsonDialect:
    """One JSON object a turn, kept to by the provider as far as it can; observations in user messages."""

    model: Model
    specs: tuple[ToolSpec, ...]
    context: RunContext
    name: str = "json"
    _calls: int = 0

    def ask(self, history: Sequence[Message], step: str, *, offer_tools: bool) -> AsyncGenerator[Event, None]:
        names = [spec.name for spec in self.specs]
        system = prompts.REACT_JSON_SYSTEM.format(
            rules=prompts.rules(self.context),
            tools=prompts.listed(self.specs),
            schema=orjson.dumps(step_schema(names)).decode(),
        )
        messages = shortened((Message("system", system), *history), self.model.info.context_length)
        schema = step_schema(names if offer_tools else ())
        sampling = self.model.sampling
        return self.model.stream(
            tuple(in_turns(messages, _said)),
            sampling=replace(sampling, temperature=TEMPERATURE) if sampling.temperature is None else sampling,
            response_format=ResponseFormat("json_schema", name=FORMAT_NAME, schema=schema, strict=True),
            step=step,
        )

    def reader(self, lead: str, *, forced: bool) -> JsonReader:
        self._calls += 1
        return JsonReader(lead, self.specs, f"call_{self._calls}")

    def correction(self, problem: str) -> str:
        actions = ", ".join([*(spec.name for spec in self.specs), FINAL])
        return prompts.JSON_CORRECTION.format(problem=problem, actions=actions)


def _said(thought: str, call: ToolCall) -> str:
    """A call as the model should have written it."""
    try:
        given = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        given = {}
    return orjson.dumps({"thought": thought, "action": call.name, "action_input": given}).decode()


class JsonReader:
    """Reads a step as it streams: the thought and the final answer token by token, everything else at the end.

    Where the fields come in another order, or inside a fence with words around it, the whole is read at the end.
    """

    def __init__(self, lead: str, specs: Sequence[ToolSpec], call_id: str) -> None:
        self.turn = Turn()
        self.done = False
        self._lead = lead
        self._specs = specs
        self._call_id = call_id
        self._raw: list[str] = []
        self._size = 0
        self._blanks = 0
        self._ran_on = False
        self._state = "start"
        """start -> thought -> action -> answer -> behind, or rest: read at the end."""
        self._head = ""
        """What has come since the last state and may still decide the next one."""
        self._string = StringDecoder()
        self._brackets = Brackets()
        self._trailing = 0
        self._thought: list[str] = []
        self._answer: list[str] = []
        self._reasoning: list[str] = []
        self._unasked: list[ToolCall] = []
        """Calls in a form that was not asked for; they count when the text says nothing."""

    def feed(self, event: Event) -> Iterable[Event]:
        match event:
            case TextDelta():
                text = event.text
                if self._answer and self._state == "answer" and self._string.plain(text) and not text.isspace():
                    # What nearly every token of an answer is: nothing to decode, nothing to decide.
                    self._answer.append(text)
                    self._blanks = 0
                    return (event,)
                return self._read(text)
            case ReasoningDelta():
                self._reasoning.append(event.text)
                return (event,)
            case ToolCallMade():
                self._unasked.append(event.call)
                return ()
            case Finished():
                self.turn.finished = event
                return ()
            case _:
                return (event,)

    def _read(self, text: str) -> Iterable[Event]:
        self._note(text)
        if self._state == "answer":
            return self._answered(text)
        out: list[Event] = []
        while text:
            text = self._step(text, out)
        return out

    def _note(self, text: str) -> None:
        """Keep the text, and stop reading when nothing of use can come any more."""
        self._raw.append(text)
        self._size += len(text) if self._state == "rest" else 0
        solid = text.rstrip()
        self._blanks = len(text) - len(solid) if solid else self._blanks + len(text)
        self._ran_on = self._blanks >= MAX_BLANKS
        self.done = self._ran_on or self._size > MAX_REST_CHARS or self._trailing > MAX_TRAILING_CHARS

    def _step(self, text: str, out: list[Event]) -> str:
        """Read on in the current state; what belongs to the next one is given back."""
        match self._state:
            case "start" | "action":
                return self._decide(text)
            case "thought":
                return self._think(text, out)
            case "answer":
                out += self._answered(text)
            case "behind":
                self._trailing += len(text)
            case _:
                if self._brackets.closed:
                    self._trailing += len(text)
                self._brackets.feed(text)
        return ""

    def _decide(self, text: str) -> str:
        self._head += text
        if self._state == "start" and (found := _THOUGHT.match(self._head)) is not None:
            rest, self._head, self._state = self._head[found.end() :], "", "thought"
            self._brackets.feed('{"thought":"')
            return rest
        if (found := _ACTION.match(self._head)) is not None:
            rest, given = self._head[found.end() :], found[2]
            if found[1].lower() == FINAL and given == '"':
                self._head, self._state, self._string = "", "answer", StringDecoder()
                return rest
        if found is not None or len(self._head) > MAX_HEAD_CHARS:
            rest, self._head, self._state = self._head, "", "rest"
            return rest
        return ""

    def _think(self, text: str, out: list[Event]) -> str:
        thought = self._string.feed(text)
        if thought:
            self._thought.append(thought)
            out.append(ReasoningDelta(thought))
        if not self._string.ended:
            return ""
        self._state = "action"
        self._brackets.feed('"')
        if self._thought:
            out.append(ReasoningDelta("\n"))
        return self._string.rest

    def _answered(self, text: str) -> Iterable[Event]:
        piece = self._string.feed(text)
        if self._string.ended:
            self._state = "behind"
        if not self._answer:
            piece = piece.lstrip()
        if not piece:
            return ()
        first = not self._answer
        self._answer.append(piece)
        return (TextDelta(self._lead + piece if first else piece),)

    def close(self) -> Iterable[Event]:
        turn = self.turn
        turn.text = "".join(self._raw).strip()
        turn.reasoning = "".join(self._reasoning).strip()
        turn.said = "".join(self._thought).strip()
        turn.thought = "\n".join(part for part in (turn.reasoning, turn.said) if part)
        if self._answer:
            turn.answer = "".join(self._answer)
            if self._ran_on and self._state == "answer":
                turn.finished = Finished("length", "The model went on with white space and was stopped.")
            return ()
        return self._settle()

    def _settle(self) -> Iterable[Event]:
        """At the end: what the whole object says."""
        turn = self.turn
        if self._unasked and first_object(turn.text) is None:
            turn.calls = self._unasked
            return ()
        if not turn.text:
            turn.problem = "only white space came." if self._ran_on else "nothing came."
            return ()
        step = first_object(turn.text)
        if step is None:
            turn.problem = self._why_unreadable()
            return ()
        read = read_step(step, self._specs, self._call_id)
        if isinstance(read, ToolCall):
            if not turn.said and isinstance(step.get("thought"), str):
                turn.said = step["thought"].strip()
                turn.thought = turn.thought or turn.said
            turn.calls.append(read)
        elif isinstance(read, Final):
            turn.answer = read.text
            return (TextDelta(self._lead + read.text),)
        else:
            turn.problem = read
        return ()

    def _why_unreadable(self) -> str:
        if self._ran_on:
            return "white space came without end."
        if self._size > MAX_REST_CHARS:
            return f"the object is too long; at most {MAX_ARGUMENT_CHARS} characters of input are taken."
        cut = self.turn.finished is not None and self.turn.finished.reason == "length"
        return "the object was cut off: be shorter." if cut else "it is not one JSON object."


@dataclass(frozen=True, slots=True)
class Final:
    """A final answer that was read in one piece; never empty."""

    text: str


def read_step(step: Mapping[str, Any], specs: Sequence[ToolSpec], call_id: str) -> ToolCall | Final | str:
    """What a step means: a call, the answer, or one sentence saying what cannot be read.

    Repaired without guessing: other names for the answer's field, an answer inside an object, an input that is JSON
    text, plain text for a tool that takes exactly one text.
    """
    action = step.get("action", step.get("tool", step.get("name")))
    given = step.get("action_input", step.get("arguments", step.get("input")))
    if not isinstance(action, str) or not action.strip():
        return _answer_in(step) or '"action" names neither a tool nor final_answer.'
    name = action.strip()
    if name.lower() == FINAL:
        if isinstance(given, (str, int, float)):
            given = {"answer": str(given)}
        return _answer_in(given or step) or '"action_input" holds no answer.'
    spec = next((each for each in specs if each.name == name), None)
    value = _object_of(given, spec)
    if value is None:
        return f'"action_input" of {name[:64]} is not one JSON object.'
    return ToolCall(call_id, name, orjson.dumps(value).decode())


def _answer_in(value: Any) -> Final | None:
    if not isinstance(value, Mapping):
        return None
    found = next((value[key] for key in _ANSWER_KEYS if isinstance(value.get(key), str)), "")
    if not found and len(value) == 1 and "thought" not in value:
        found = next((each for each in value.values() if isinstance(each, str)), "")
    return Final(found.strip()) if found.strip() else None


def _object_of(given: Any, spec: ToolSpec | None) -> dict[str, Any] | None:
    if isinstance(given, dict):
        return given
    if isinstance(given, str) and given.strip():
        return first_object(given) or (None if spec is None else only_text(spec, given))
    needs_nothing = spec is not None and not spec.parameters.get("required")
    return {} if given in (None, "") and needs_nothing else None
