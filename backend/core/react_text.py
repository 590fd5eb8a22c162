"""The ReAct loop as text, for models that cannot call tools natively: Thought, Action, Observation, Final Answer."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from backend.core import prompts
from backend.core.bounds import MAX_ARGUMENT_CHARS
from backend.core.collect import shortened
from backend.core.json_stream import Brackets
from backend.core.json_text import first_object
from backend.core.react_turns import Turn, in_turns
from backend.llm.port import Model
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, ToolCall, ToolCallMade
from backend.models.run import RunContext
from backend.models.tools import ToolSpec

STOP = "Observation:"

LOOSE_CHARS = 400
"""Text without a label that is waited through before it counts as the answer."""
MAX_TRAILING_CHARS = 200

_LABEL = re.compile(
    r"[ \t>*#_-]*(?P<label>thought|action[ \t_]?input|action|observation|final[ \t_]answer)"
    r"[ \t]*[*_]*[ \t]*:[*_]*[ \t]*",
    re.IGNORECASE,
)
_INLINE = re.compile(r"\bfinal answer[ \t]*[*_]*:[*_]*[ \t]*", re.IGNORECASE)
_INLINE_CHARS = 24
"""So many characters at the end of an unfinished line may be the beginning of an inline label."""
_LABELS = ("thought", "action", "observation", "final answer", "action input")
_CLOSING_STARS = re.compile(r"^\*\*\s+")
"""What is left of a bold label when its end comes in a later delta."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


@dataclass(slots=True)
class TextDialect:
    """The protocol in the system prompt, observations in user messages."""

    model: Model
    specs: tuple[ToolSpec, ...]
    context: RunContext
    name: str = "text"
    _calls: int = 0

    def ask(self, history: Sequence[Message], step: str, *, offer_tools: bool) -> AsyncGenerator[Event, None]:
        system = prompts.REACT_TEXT_SYSTEM.format(rules=prompts.rules(self.context), tools=prompts.listed(self.specs))
        messages = shortened((Message("system", system), *history), self.model.info.context_length)
        sampling = replace(self.model.sampling, stop=(STOP, *self.model.sampling.stop))
        return self.model.stream(tuple(in_turns(messages, said_in_text)), sampling=sampling, step=step)

    def reader(self, lead: str, *, forced: bool) -> TextReader:
        self._calls += 1
        return TextReader(lead, self.specs, f"call_{self._calls}", patience=0 if forced else LOOSE_CHARS)

    def correction(self, problem: str) -> str:
        tools = ", ".join(spec.name for spec in self.specs)
        return prompts.TEXT_CORRECTION.format(problem=problem, tools=tools)


def said_in_text(thought: str, call: ToolCall) -> str:
    """A call as the model should have written it."""
    said = f"Thought: {thought}\n" if thought else ""
    return f"{said}Action: {call.name}\nAction Input: {call.arguments}"


class TextReader:
    """Reads the protocol as it streams: thoughts line by line, the final answer token by token.

    Lenient about decoration (`**Thought:**`), case, code fences, an input on the action's own line; strict about
    what runs: the first action of a turn, and nothing the model imagined after it. Text without any label is
    streamed as the answer once more than `patience` characters of it have come; an action may still follow.
    """

    def __init__(self, lead: str, specs: Sequence[ToolSpec], call_id: str, patience: int = LOOSE_CHARS) -> None:
        self.turn = Turn()
        self.done = False
        self._lead = lead
        self._specs = specs
        self._call_id = call_id
        self._patience = patience
        self._section = ""
        """The label whose text is being read; empty before the first label, `loose` when that is the answer."""
        self._said: dict[str, list[str]] = {}
        self._line = ""
        """Text that may still become a label."""
        self._fresh = True
        """That text begins a line."""
        self._loose = 0
        self._input = Brackets()
        self._input_size = self._behind_input = 0
        self._answer: list[str] = []
        self._raw: list[str] = []
        self._reasoning: list[str] = []
        self._unasked: list[ToolCall] = []
        """Calls in a form that was not asked for; they count when the text says nothing."""

    def feed(self, event: Event) -> Iterable[Event]:
        match event:
            case TextDelta():
                if self._answer and self._section == "answer":
                    self._answer.append(event.text)
                    return (event,)
                return self._read(event.text)
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

    def close(self) -> Iterable[Event]:
        line, self._line = self._line, ""
        out = [] if self.done else self._keep(line)
        turn = self.turn
        loose, thought = self._joined(""), self._joined("thought")
        turn.text = "".join(self._raw).rstrip()
        turn.reasoning = "".join(self._reasoning).strip()
        turn.thought = "\n".join(part for part in (turn.reasoning, loose, thought) if part)
        if "action" in self._said:
            out += self._called()
        elif not self._answer and thought:
            turn.problem = "there was a Thought, but neither an Action nor a Final Answer."
        elif not self._answer and loose:
            out += self._answered(loose)
        if self._unasked and not self._answer and not turn.calls:
            turn.calls, turn.problem = self._unasked, None
        turn.answer = "".join(self._answer)
        turn.said = thought or loose or turn.answer.strip()
        return out

    def _called(self) -> list[Event]:
        """The action, as a call, as a problem, or as part of an answer that only looked like one."""
        call = read_action(self._joined("action"), self._joined("input"), self._specs, self._call_id)
        known = isinstance(call, ToolCall) and any(spec.name == call.name for spec in self._specs)
        if self._answer and not known:
            given = f"\nAction Input: {self._joined('input')}" if "input" in self._said else ""
            return self._answered(f"Action: {self._joined('action')}{given}")
        if isinstance(call, ToolCall):
            self.turn.calls.append(call)
        else:
            self.turn.problem = call
        return []

    def _read(self, text: str) -> Iterable[Event]:
        self._raw.append(text)
        if self._section == "answer":
            return self._answered(text)
        out: list[Event] = []
        self._line += text
        while self._line and not self.done:
            line, newline, rest = self._line.partition("\n")
            found = self._label(line)
            if found is not None:
                out += self._keep(line[: found.start()])
                self._line = line[found.end() :] + newline + rest
                self._fresh = False
                self._enter(_section_of(found))
                if self._section == "answer" and not self.done:
                    answer, self._line = self._line, ""
                    out += self._answered(answer)
            elif newline:
                out += self._keep(line + newline)
                self._line, self._fresh = rest, True
            else:
                out += self._unfinished(line)
                break
        return out

    def _label(self, line: str) -> re.Match[str] | None:
        found = _LABEL.match(line) if self._fresh else None
        return found or (_INLINE.search(line) if self._section in ("", "thought") else None)

    def _unfinished(self, line: str) -> list[Event]:
        """Let go of what cannot become a label any more, however the line goes on."""
        if self._fresh and _could_be_label(line):
            return []
        if self._section == "" and self._loose + len(line) > self._patience:
            self._section = "loose"
            line = "".join(self._said.pop("", ())) + line
        keep = 0 if self._section in ("loose", "action", "input") else _INLINE_CHARS
        if keep and len(line) < 2 * keep:
            return []
        cut = len(line) - keep
        self._line, self._fresh = line[cut:], False
        return self._keep(line[:cut])

    def _enter(self, section: str) -> None:
        if section == "observation" or ("action" in self._said and section != "input"):
            # What a model writes after its action, it imagines.
            self.done = True
            return
        self._section = section
        self._said.setdefault(section, [])

    def _keep(self, text: str) -> list[Event]:
        if not text:
            return []
        if self._section == "loose":
            return self._answered(text)
        if self._section == "input":
            self._notice_end(text)
        self._loose += len(text) if not self._section else 0
        self._said.setdefault(self._section, []).append(text)
        return [ReasoningDelta(text)] if self._section == "thought" and text.strip() else []

    def _notice_end(self, text: str) -> None:
        """An input that is whole, or too long to be one, ends the turn even if the model goes on."""
        self._behind_input += len(text) if self._input.closed else 0
        self._input_size += len(text)
        self._input.feed(text)
        self.done = self._behind_input > MAX_TRAILING_CHARS or self._input_size > 2 * MAX_ARGUMENT_CHARS

    def _answered(self, text: str) -> list[Event]:
        first = not self._answer
        if first:
            text = _CLOSING_STARS.sub("", text.lstrip())
            if not text:
                return []
        self._answer.append(text)
        return [TextDelta(self._lead + text if first else text)]

    def _joined(self, section: str) -> str:
        return "".join(self._said.get(section, ())).strip()


def _could_be_label(line: str) -> bool:
    """Whether the unfinished beginning of a line may yet become a label."""
    text = line.lstrip(" \t>*#_-").lower()
    if len(line) > _INLINE_CHARS + len(_LABELS[-1]):
        return False
    if any(label.startswith(text) for label in _LABELS):
        return True
    spaced = re.sub(r"[ \t_]+", " ", text).rstrip(" *")
    return any(label.startswith(spaced) for label in _LABELS)


def _section_of(found: re.Match[str]) -> str:
    if found.re is _INLINE:
        return "answer"
    label = re.sub(r"[ \t_]", "", found["label"].lower())
    return {"actioninput": "input", "finalanswer": "answer"}.get(label, label)


def read_action(action: str, given: str, specs: Sequence[ToolSpec], call_id: str) -> ToolCall | str:
    """The call an Action and its Action Input mean, or one sentence saying what cannot be read.

    Repaired without guessing: decoration around the name, the input on the action's line, an object with name
    and arguments in place of both, plain text for a tool that takes exactly one text. An unknown name is passed
    on: the toolbox answers it with the names there are.
    """
    whole = first_object(action)
    if whole is not None:
        name = whole.get("name") or whole.get("action") or whole.get("tool")
        value = whole.get("arguments", whole.get("action_input", whole.get("input")))
        if isinstance(name, str) and isinstance(value, dict):
            return ToolCall(call_id, name, orjson.dumps(value).decode())
    found = _NAME.search(action.replace("`", "").replace('"', "").strip())
    if found is None or found.group().lower() in ("none", "n"):
        return "the Action names no tool."
    name = found.group()
    spec = next((each for each in specs if each.name == name), None)
    value = first_object(given) or (whole if not given else None)
    if value is None and given.strip().strip("`").strip() in ("", "{}", "json\n{}"):
        value = {} if "{" in given or (spec is not None and not spec.parameters.get("required")) else None
    if value is None and given:
        value = only_text(spec, given)
    if value is None:
        return f"the Action Input of {name[:64]} is not one JSON object."
    return ToolCall(call_id, name, orjson.dumps(value).decode())


def only_text(spec: ToolSpec | None, given: str) -> dict[str, Any] | None:
    """Plain text as the input of a tool that needs exactly one text; None when it looks like broken JSON."""
    text = given.strip().strip("`").strip()
    if spec is None or text[:1] in ("{", "["):
        return None
    required = list(spec.parameters.get("required", ()))
    properties = spec.parameters.get("properties", {})
    schema = properties.get(required[0]) if len(required) == 1 else None
    if not isinstance(schema, Mapping) or schema.get("type") != "string":
        return None
    return {required[0]: text.strip("\"'")}


def as_plain(messages: Sequence[Message]) -> list[Message]:
    """The conversation for a model without tools: earlier tool turns become plain text."""
    return in_turns(messages, said_in_text)
