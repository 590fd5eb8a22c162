"""Tool calls as the request demands them: the named tool, one at a time, with arguments that can be relied upon."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from backend.core import enforcement_texts as texts
from backend.core.asking import Asking, Reading, Told, fault, following, told_of
from backend.core.call_check import CheckedCall, canonical, checked_call, form_of
from backend.core.enforced_json import FormattedAnswer
from backend.core.json_answer import MAX_CHARS
from backend.core.json_form import Form, dumped
from backend.llm.port import ChatRequest, Sampling
from backend.models.errors import InvalidRequest, ModelFault, UnsupportedParameter
from backend.models.messages import Event, Finished, Message, TextDelta, ToolCall, ToolCallMade, Usage
from backend.models.tools import ToolSpec

log = logging.getLogger("hearth.enforcement")

NO_TOOLS_CODE = "tools_unsupported"
"""Code of the error with which a provider refuses tools for a model that cannot call them."""
IN_WORDS = "answer_in_words"
MAX_REPAIRS = 3
"""Calls of one turn whose arguments are asked for again."""
MAX_STRUCTURED_TOKENS = 4_096
MAX_WORDS = 8_000
"""Characters after which a model that was to call a tool, and talks, is not listened to any longer."""


@dataclass(slots=True)
class _Turn:
    """What the model did when it was shown the tools."""

    text: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    finished: Finished = field(default_factory=lambda: Finished("stop"))


@dataclass(slots=True)
class CallingTurn:
    """A completion with the caller's tools. `form`: what an answer in words must be."""

    asking: Asking
    request: ChatRequest
    form: Form | None = None
    streamed: bool = False
    _tools: dict[str, ToolSpec] = field(init=False)

    def __post_init__(self) -> None:
        self._tools = {tool.name: tool for tool in self.request.tools}

    @property
    def _forced(self) -> bool:
        return self.request.tool_choice != "auto"

    def _allowed(self) -> tuple[ToolSpec, ...]:
        choice = self.request.tool_choice
        return tuple(self._tools.values()) if choice in ("auto", "required") else (self._tools[choice],)

    async def run(self) -> AsyncGenerator[Event, None]:
        """Text (held back where a call is demanded or the text has a form), calls, tokens, Finished.

        Raises ModelFault when the model cannot be brought to a demanded call or to usable arguments; otherwise what
        the provider raises.
        """
        turn, native = _Turn(), True
        try:
            async with aclosing(self._native(turn)) as events:
                async for event in events:
                    yield event
        except ModelFault:
            if not self._forced:
                raise
        except InvalidRequest as error:
            if error.code != NO_TOOLS_CODE:
                raise
            native = False
        ending = self._unaided() if not native else self._aided(turn)
        async with aclosing(ending) as events:
            async for event in events:
                yield event

    # ---- the native way -------------------------------------------------------------------------

    async def _native(self, turn: _Turn) -> AsyncGenerator[Event, None]:
        hold = self._forced or self.form is not None
        request, left, counted = self._native_request(), MAX_WORDS if self._forced else MAX_CHARS, False
        async with aclosing(self.asking.provider.stream(request)) as events:
            async for event in events:
                if type(event) is TextDelta:
                    turn.text.append(event.text)
                    if not hold:
                        yield event
                        continue
                    left -= len(event.text)
                    if left < 0:
                        break
                elif isinstance(event, ToolCallMade):
                    turn.calls.append(event.call)
                elif isinstance(event, Usage):
                    counted = True
                    self.asking.usage.append(event)
                elif isinstance(event, Finished):
                    turn.finished = event
                else:
                    yield event
        if not counted:
            self.asking.estimate(request, sum(map(len, turn.text)))

    def _native_request(self) -> ChatRequest:
        """Without the format: its grammar would bind the calls as well, so an answer's form is said in words."""
        if self.form is None:
            return self.request
        told = Message("system", texts.FORMAT_WITH_TOOLS.format(form=self.form.in_words()))
        messages = self.request.messages if self._forced else (*self.request.messages, told)
        return replace(self.request, messages=messages, response_format=None)

    async def _aided(self, turn: _Turn) -> AsyncGenerator[Event, None]:
        """What follows from the model's own turn."""
        allowed = {tool.name for tool in self._allowed()}
        checked = [
            each
            for call in turn.calls
            if (each := checked_call(call, self._tools, strictly=self._forced)) is not None and each.name in allowed
        ]
        if self._forced:
            calls = [each for each in checked if each.arguments is not None]
            if not calls:
                named = checked[0].name if checked else None
                told = await self._by_format(self.request, named, repair=False)
                for event in self._called_or_cut(told, named):
                    yield event
                return
        else:
            calls = await self._repaired(checked)
        if calls:
            for event in self._made(calls, turn.finished):
                yield event
        elif turn.calls and not "".join(turn.text).strip():
            # Nothing but calls of tools that there are not: let it choose among those that there are.
            async with aclosing(self._chosen(self.request, repair=False)) as events:
                async for event in events:
                    yield event
        else:
            async with aclosing(self._said(turn)) as events:
                async for event in events:
                    yield event

    async def _said(self, turn: _Turn) -> AsyncGenerator[Event, None]:
        """The model answered in words."""
        finished = replace(turn.finished, reason="stop") if turn.finished.reason == "tool_calls" else turn.finished
        if self.form is None:
            for usage in self.asking.usage:
                yield usage
            yield finished
            return
        reading = Reading(self.form.answer(), finished)
        reading.answer.feed("".join(turn.text))
        formatted = self._answer_in_words(self.request, self.form)
        told = await formatted.settled(await told_of(reading, self.form))
        for event in formatted.whole(told):
            yield event

    async def _repaired(self, checked: Sequence[CheckedCall]) -> list[CheckedCall]:
        """The calls, with arguments that cannot be used asked for once more. Raises ModelFault when that fails."""
        out: list[CheckedCall] = []
        for each in self._wanted(checked):
            if each.arguments is not None:
                out.append(each)
                continue
            if sum(one.arguments is None for one in checked) > MAX_REPAIRS:
                raise fault(texts.BAD_ARGUMENTS.format(name=each.name, problem=each.problem))
            told = await self._arguments(self.request, self._tools[each.name], repair=False)
            if told is None or told.verdict.text is None:
                raise fault(texts.BAD_ARGUMENTS.format(name=each.name, problem=each.problem))
            out.append(replace(each, arguments=told.verdict.text))
        return out

    # ---- by structured output -------------------------------------------------------------------

    async def _unaided(self) -> AsyncGenerator[Event, None]:
        """For a model that knows no tools: each decision is asked for as JSON."""
        request = replace(self.request, messages=as_text(self.request.messages))
        async with aclosing(self._chosen(request, repair=True)) as events:
            async for event in events:
                yield event

    async def _chosen(self, request: ChatRequest, *, repair: bool) -> AsyncGenerator[Event, None]:
        told = await self._by_format(request, None, repair=repair)
        if told is not None and told[1].verdict.text is None and not self._forced and told[1].ending != "cut":
            raise fault(texts.BAD_ARGUMENTS.format(name=told[0], problem=told[1].verdict.problem))
        if told is not None or self._forced:
            for event in self._called_or_cut(told, None):
                yield event
            return
        if self.form is not None:
            stream = self._answer_in_words(request, self.form).run()
        else:
            stream = self.asking.passed_on(replace(request, tools=(), tool_choice="auto"))
        async with aclosing(stream) as events:
            async for event in events:
                yield event

    async def _by_format(self, request: ChatRequest, named: str | None, *, repair: bool) -> tuple[str, Told] | None:
        """The tool to call and what came of asking for its arguments; None when the model wants none, or cannot be
        asked so."""
        allowed = self._allowed()
        name = named
        try:
            if name is None and len(allowed) == 1 and self._forced:
                name = allowed[0].name
            if name is None:
                name = await self._choice(request, allowed)
            if name is None:
                return None
            told = await self._arguments(request, self._tools[name], repair=repair)
        except UnsupportedParameter:
            return None
        return None if told is None else (name, told)

    async def _choice(self, request: ChatRequest, allowed: Sequence[ToolSpec]) -> str | None:
        """The name of the tool the model wants, by a flat choice; None for an answer in words, or no choice."""
        names = [tool.name for tool in allowed] + ([] if self._forced else [IN_WORDS])
        schema = {
            "type": "object",
            "properties": {"tool": {"type": "string", "enum": names}},
            "required": ["tool"],
            "additionalProperties": False,
        }
        tools = "\n".join(f"- {tool.name}: {tool.description} Arguments: {dumped(tool.parameters)}" for tool in allowed)
        or_answer = "" if self._forced else texts.OR_ANSWER.format(words=IN_WORDS)
        told = await self._structured(request, texts.CHOOSE.format(tools=tools, or_answer=or_answer), "tool", schema)
        if told is None or told.verdict.text is None:
            return None
        chosen: str = orjson.loads(told.verdict.text)["tool"]
        return None if chosen == IN_WORDS else chosen

    async def _arguments(self, request: ChatRequest, tool: ToolSpec, *, repair: bool) -> Told | None:
        schema = {"type": "object", "properties": {}, **tool.parameters}
        task = texts.FILL.format(name=tool.name, description=tool.description or tool.name)
        return await self._structured(request, task, "tool_arguments", schema, tool=tool, repair=repair)

    async def _structured(
        self,
        request: ChatRequest,
        task: str,
        name: str,
        schema: Mapping[str, Any],
        *,
        tool: ToolSpec | None = None,
        repair: bool = True,
    ) -> Told | None:
        """None when the model's server failed at it for a reason that lies in the model."""
        form = form_of(name, schema, tool)
        if form.schema is None:
            task = f"{task}\n{texts.FILL_SCHEMA.format(schema=dumped(schema))}"
        asked = ChatRequest(
            model=request.model,
            messages=(*request.messages, Message("system", task)),
            sampling=Sampling(
                temperature=0.0,
                # The caller's limit is for what the caller gets: the choice of a tool is our own question.
                max_tokens=(request.sampling.max_tokens if tool else None) or MAX_STRUCTURED_TOKENS,
                seed=request.sampling.seed,
            ),
            reasoning_effort=request.reasoning_effort,
            step=name,
        )
        try:
            told = await self.asking.json(asked, form)
            if told.verdict.text is None and told.ending != "cut" and repair:
                told = await self.asking.json(following(asked, told), form)
        except ModelFault as error:
            log.info("%s: no %s by structured output: %s", request.model, name, error.message)
            return None
        return told

    def _answer_in_words(self, request: ChatRequest, form: Form) -> FormattedAnswer:
        plain = replace(request, tools=(), tool_choice="auto", response_format=None)
        return FormattedAnswer(self.asking, plain, form, self.streamed)

    # ---- calls ----------------------------------------------------------------------------------

    def _wanted(self, checked: Sequence[CheckedCall]) -> list[CheckedCall]:
        """Without repetitions, and the first alone when calls may not be made side by side.

        Two broken calls of one tool count as one: a repair could not tell them apart.
        """
        seen: set[tuple[str, str | None]] = set()
        out: list[CheckedCall] = []
        for each in checked:
            key = (each.name, canonical(each.arguments))
            if key not in seen:
                seen.add(key)
                out.append(each)
        return out if self.request.parallel_tool_calls else out[:1]

    def _made(self, calls: Sequence[CheckedCall], finished: Finished) -> list[Event]:
        used = {call.id for message in self.request.messages for call in message.tool_calls}
        events: list[Event] = []
        for each in self._wanted(calls):
            call_id = each.id
            while not call_id or call_id in used:
                call_id = f"call_{secrets.token_hex(8)}"
            used.add(call_id)
            events.append(ToolCallMade(ToolCall(call_id, each.name, each.arguments or "{}")))
        return [*events, *self.asking.usage, replace(finished, reason="tool_calls", detail=None)]

    def _called_or_cut(self, told: tuple[str, Told] | None, named: str | None) -> list[Event]:
        """The events of a call made by structured output. Raises ModelFault when there is none."""
        if told is None:
            raise fault(texts.NO_CALL.format(tools=named or self._names()))
        name, outcome = told
        if outcome.verdict.text is not None:
            return self._made([CheckedCall(name, outcome.verdict.text)], Finished("tool_calls"))
        if outcome.ending == "cut":
            detail = texts.LENGTH_IN_CALL.format(name=name)
            return [*self.asking.usage, Finished("length", detail)]
        raise fault(texts.BAD_ARGUMENTS.format(name=name, problem=outcome.verdict.problem))

    def _names(self) -> str:
        names = [tool.name for tool in self._allowed()]
        return names[0] if len(names) == 1 else f"any of {', '.join(names[:8])}"


def as_text(messages: Sequence[Message]) -> tuple[Message, ...]:
    """A conversation in which tool calls and their results are words, for models that know neither."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    return tuple(_as_text(message, names) for message in messages)


def _as_text(message: Message, names: Mapping[str, str]) -> Message:
    if message.role == "tool":
        name = message.name or names.get(message.tool_call_id or "", "")
        return Message("user", texts.RESULT_AS_TEXT.format(name=name, content=message.content))
    if message.tool_calls:
        calls = [texts.CALL_AS_TEXT.format(name=call.name, arguments=call.arguments) for call in message.tool_calls]
        return replace(message, content="\n".join(filter(None, [message.content, *calls])), tool_calls=())
    return message
