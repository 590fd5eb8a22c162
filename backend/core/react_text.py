"""The ReAct loop as text, for models that cannot call tools natively: Thought, Action, Observation, Final Answer."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from backend.core import prompts
from backend.core.collect import shortened
from backend.core.json_text import first_object
from backend.core.react_turns import Observation, Turn
from backend.llm.port import Model
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, ToolCall
from backend.models.run import RunContext
from backend.models.tools import ToolSpec

STOP = "Observation:"

_LABEL = re.compile(
    r"(?:^[ \t>*#_-]*(?P<label>thought|action[ \t_]?input|action|observation|final[ \t_]answer)[ \t]*[*_]*[ \t]*:"
    r"|(?P<inline>\bfinal answer[ \t]*[*_]*:))[*_]*[ \t]*",
    re.IGNORECASE,
)
_CLOSING_STARS = re.compile(r"^\*\*\s+")
"""What is left of a bold label when its end comes in a later delta."""
_NAME = re.compile(r"[A-Za-z_][\w.-]*")


@dataclass(slots=True)
class TextDialect:
    """The protocol in the system prompt, observations in user messages."""

    model: Model
    specs: tuple[ToolSpec, ...]
    context: RunContext
    _calls: int = 0

    def opening(self, messages: Sequence[Message]) -> list[Message]:
        tools = prompts.listed(self.specs)
        system = prompts.REACT_TEXT_SYSTEM.format(rules=prompts.rules(self.context), tools=tools)
        return [Message("system", system), *as_plain(messages)]

    def ask(self, history: Sequence[Message], step: str, *, offer_tools: bool) -> AsyncGenerator[Event, None]:
        sampling = replace(self.model.sampling, stop=(STOP, *self.model.sampling.stop))
        return self.model.stream(shortened(history, self.model.info.context_length), sampling=sampling, step=step)

    def reader(self, lead: str) -> TextReader:
        self._calls += 1
        return TextReader(lead, self.specs, f"call_{self._calls}")

    def observed(self, turn: Turn, observations: Sequence[Observation], note: str) -> list[Message]:
        told = "\n\n".join(each.text for each in observations)
        content = prompts.TEXT_OBSERVATION.format(observation=told)
        return [Message("assistant", turn.text), Message("user", f"{content}\n\n{note}" if note else content)]


class TextReader:
    """Reads the protocol as it streams: thoughts line by line, the final answer token by token.

    Lenient about decoration (`**Thought:**`), case, code fences, an input on the action's own line; strict about
    what runs: the first action of a turn, and nothing the model imagined after it.
    """

    def __init__(self, lead: str, specs: Sequence[ToolSpec], call_id: str) -> None:
        self.turn = Turn()
        self.done = False
        self._lead = lead
        self._specs = specs
        self._call_id = call_id
        self._section = ""
        """The label whose text is being read; empty before the first label."""
        self._said: dict[str, list[str]] = {}
        self._line = ""
        self._raw: list[str] = []
        self._reasoning: list[str] = []

    def feed(self, event: Event) -> Iterable[Event]:
        match event:
            case TextDelta():
                return self._read(event.text)
            case ReasoningDelta():
                self._reasoning.append(event.text)
                return (event,)
            case Finished():
                self.turn.finished = event
                return ()
            case _:
                return (event,)

    def close(self) -> Iterable[Event]:
        out = self._settle() if self._section != "answer" and not self.done else []
        self.turn.text = "".join(self._raw).rstrip()
        if self._section == "answer":
            return out
        loose, thought = self._joined(""), self._joined("thought")
        self.turn.thought = "\n".join(part for part in ("".join(self._reasoning).strip(), loose, thought) if part)
        if "action" in self._said:
            call = read_action(self._joined("action"), self._joined("input"), self._specs, self._call_id)
            if isinstance(call, ToolCall):
                self.turn.calls.append(call)
                # The history shows the model its own turn as it should have been written.
                said = f"Thought: {thought or loose}\n" if thought or loose else ""
                self.turn.text = f"{said}Action: {call.name}\nAction Input: {call.arguments}"
            else:
                self.turn.problem = call
        elif thought:
            self.turn.problem = "there was a Thought, but neither an Action nor a Final Answer."
        elif loose:
            out += self._answered(loose)
        return out

    def _read(self, text: str) -> list[Event]:
        self._raw.append(text)
        if self._section == "answer":
            return self._answered(text)
        out: list[Event] = []
        self._line += text
        while not self.done:
            line, newline, rest = self._line.partition("\n")
            found = _LABEL.search(line) if self._section != "answer" else None
            # An unfinished line may still become a label, but never stops being one.
            if found is None and not newline:
                break
            if found is not None:
                out += self._keep(line[: found.start()])
                self._line = line[found.end() :] + newline + rest
                self._enter(_section_of(found))
                if self._section == "answer" and not self.done:
                    answer, self._line = self._line, ""
                    out += self._answered(answer)
                    break
            else:
                out += self._keep(line + newline)
                self._line = rest
        return out

    def _settle(self) -> list[Event]:
        line, self._line = self._line, ""
        return self._keep(line)

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
        self._said.setdefault(self._section, []).append(text)
        return [ReasoningDelta(text)] if self._section == "thought" and text.strip() else []

    def _answered(self, text: str) -> list[Event]:
        if not self.turn.answer:
            text = _CLOSING_STARS.sub("", text.lstrip())
            if not text:
                return []
            self.turn.answer = text
            return [TextDelta(self._lead + text)]
        self.turn.answer += text
        return [TextDelta(text)]

    def _joined(self, section: str) -> str:
        return "".join(self._said.get(section, ())).strip()


def _section_of(found: re.Match[str]) -> str:
    if found["inline"]:
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
        value = _only_text(spec, given)
    if value is None:
        return f"the Action Input of {name[:64]} is not one JSON object."
    return ToolCall(call_id, name, orjson.dumps(value).decode())


def _only_text(spec: ToolSpec | None, given: str) -> dict[str, Any] | None:
    """Plain text as the input of a tool that needs exactly one text; None when it looks like broken JSON."""
    text = given.strip().strip("`").strip()
    if spec is None or text[:1] in ("{", "["):
        return None
    required = list(spec.parameters.get("required", ()))
    properties = spec.parameters.get("properties", {})
    if len(required) != 1 or properties.get(required[0], {}).get("type") != "string":
        return None
    return {required[0]: text.strip("\"'")}


def as_plain(messages: Sequence[Message]) -> list[Message]:
    """The conversation for a model without tools: earlier tool turns become plain text."""
    plain: list[Message] = []
    for message in messages:
        if message.role == "tool":
            observation = prompts.TEXT_OBSERVATION.format(observation=message.content)
            plain.append(Message("user", observation))
        elif message.tool_calls:
            said = [f"Action: {call.name}\nAction Input: {call.arguments}" for call in message.tool_calls]
            plain.append(Message("assistant", "\n".join([message.content, *said]).strip()))
        else:
            plain.append(message)
    return plain
