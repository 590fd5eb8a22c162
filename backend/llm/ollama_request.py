"""A ChatRequest in Ollama's words: the JSON body of POST /api/chat."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from backend.llm.ollama_errors import context_too_long, embeddings_only, tools_unsupported
from backend.llm.ollama_fit import Fitted, fit, required_tokens
from backend.llm.ollama_models import ModelDetails
from backend.llm.ollama_window import (
    CAUTIOUS,
    COMFORTABLE_WINDOW,
    DEFAULT_ANSWER_TOKENS,
    LIKELY,
    choose_window,
    conversation_tokens,
    text_bytes,
)
from backend.llm.port import ChatRequest, ResponseFormat
from backend.models.errors import InvalidRequest, SettingsError, UnsupportedParameter
from backend.models.messages import Message, ToolCall
from backend.models.tools import ToolSpec

log = logging.getLogger("hearth.ollama")

BEGIN, GO_ON = "Please begin.", "Please go on."
"""What the user is taken to have said where a conversation begins or ends with the assistant."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_DURATION = re.compile(r"-?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")
_NO_THINKING = frozenset({"none", "minimal"})
_LEVELS: Mapping[str, str] = {"none": "low", "minimal": "low", "low": "low", "medium": "medium"}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the settings say about every request. `num_ctx` fixes the window; None lets the need decide."""

    temperature: float
    top_p: float
    top_k: int
    keep_alive: float | int | str | None
    num_ctx: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to send. `prompt_tokens` is an estimate; `tools` the names that were offered."""

    body: dict[str, Any]
    window: int
    prompt_tokens: int
    tools: frozenset[str]

    @property
    def path(self) -> str:
        return "/api/generate" if "suffix" in self.body else "/api/chat"

    def encoded(self) -> bytes:
        """Raises InvalidRequest when a text holds half a surrogate pair."""
        try:
            return orjson.dumps(self.body, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:
            raise InvalidRequest("The request holds text that is not valid Unicode.", param="messages") from None

    def changed(self, **fields: Any) -> Prepared:
        """The same request with top-level fields replaced; None takes one out."""
        body = {key: value for key, value in (self.body | fields).items() if value is not None}
        return replace(self, body=body)


def keep_alive_of(value: str) -> float | int | str | None:
    """OLLAMA_KEEP_ALIVE for the wire: numeric text as a number (the text "-1" is refused there), else a Go duration.

    Raises SettingsError.
    """
    text = value.strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        number = float(text)
        return int(number) if number.is_integer() else number
    if _DURATION.fullmatch(text):
        return text
    raise SettingsError(
        f"OLLAMA_KEEP_ALIVE={value[:50]!r} is not allowed: write seconds or a duration such as 30m or 1h30m,"
        " -1 for ever, 0 for not at all."
    )


def prepare(
    request: ChatRequest,
    details: ModelDetails,
    defaults: Defaults,
    at_least: int = 0,
    at_most: int | None = None,
    caution: float = 1.0,
    taking_turns: bool = False,
) -> Prepared:
    """The body for a request.

    Args:
        at_least: the largest window this model has had so far.
        at_most: the largest window the memory suffices for; None when that is not known.
        caution: factor on the token estimate, see ollama_fit.fit.
        taking_turns: for templates that insist on user and assistant by turns: adjacent messages are joined.

    Raises:
        InvalidRequest: no user message, images or tools that the model cannot take, a tool_choice that names none.
        ContextTooLong: system messages and the words of the last turn alone do not fit the model's window; or not
            all of it does, and `keep_whole` is asked for.
    """
    _check(request, details)
    tools = offered_tools(request, details)
    tool_bodies = [_tool(tool) for tool in tools]
    extra_bytes = len(orjson.dumps(tool_bodies)) if tool_bodies else 0
    extra_bytes += text_bytes(request.suffix or "")
    messages = _with_system(_sendable(request.messages, details), _instructions(request, tools))
    if taking_turns:
        messages = _by_turns(messages)
    answer = request.sampling.max_tokens or DEFAULT_ANSWER_TOKENS
    trained = details.info.context_length
    if defaults.num_ctx is not None:
        window = min(defaults.num_ctx, trained)
    else:
        wanted = int(conversation_tokens(messages, extra_bytes, CAUTIOUS) * caution) + answer
        # The second figure costs as much as the first, and only decides where that is large.
        required = int(required_tokens(messages, extra_bytes) * caution) if wanted > COMFORTABLE_WINDOW else 0
        required = wanted if request.keep_whole else required
        window = choose_window(wanted, required, trained, at_least, at_most)
    fitted = fit(messages, extra_bytes, window, answer, details.info.id, caution)
    if request.keep_whole and (fitted.left_out or fitted.cut):
        raise context_too_long(details.info.id)
    kept = fitted.messages
    _log_losses(fitted, details.info.id, window)
    body: dict[str, Any] = {
        "model": details.info.id,
        "messages": _messages(kept),
        "stream": True,
        "options": _options(request, defaults, window),
    }
    if defaults.keep_alive is not None:
        body["keep_alive"] = defaults.keep_alive
    if tool_bodies:
        body["tools"] = tool_bodies
    elif (form := _format(request.response_format)) is not None:
        # A grammar would bind the text of tool calls as well, so it is only sent without tools.
        body["format"] = form
    if request.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.logprobs}
    if request.suffix is not None:
        # Only the older endpoint fills in, and it takes one text.
        del body["messages"]
        body |= {"prompt": kept[-1].content, "suffix": request.suffix}
    think = think_of(request.reasoning_effort, details)
    if think is not None:
        body["think"] = think
    estimate = conversation_tokens(kept, extra_bytes, LIKELY)
    return Prepared(body, window, estimate, frozenset(tool.name for tool in tools))


def _log_losses(fitted: Fitted, model: str, window: int) -> None:
    if fitted.left_out or fitted.cut:
        log.info("%s: %d messages left out and %d cut to fit %d tokens", model, fitted.left_out, fitted.cut, window)


def _sendable(messages: Sequence[Message], details: ModelDetails) -> Sequence[Message]:
    """The messages without thinking that would not be sent, so that it is not counted either."""
    if details.can("thinking") or not any(message.reasoning for message in messages):
        return messages
    return [replace(message, reasoning="") if message.reasoning else message for message in messages]


def _check(request: ChatRequest, details: ModelDetails) -> None:
    if not details.may("completion"):
        raise embeddings_only(details.info.id)
    if not any(message.role == "user" for message in request.messages):
        raise InvalidRequest("There is no user message: add at least one message with role `user`.", param="messages")
    if request.suffix is not None and not details.may("insert"):
        raise UnsupportedParameter(
            f"The model {details.info.id!r} only continues text: leave out suffix, or choose a model that fills in.",
            param="suffix",
        )
    if not details.may("vision") and any(message.images for message in request.messages):
        raise InvalidRequest(
            f"The model {details.info.id!r} cannot see images: leave them out or choose a vision model.",
            param="messages",
        )


def offered_tools(request: ChatRequest, details: ModelDetails) -> tuple[ToolSpec, ...]:
    """The tools to show the model: those that `tool_choice` allows, since Ollama has no such field.

    Raises InvalidRequest.
    """
    if not request.tools or request.tool_choice == "none":
        return ()
    if not details.may("tools"):
        raise tools_unsupported(details.info.id)
    if request.tool_choice in ("auto", "required"):
        return request.tools
    chosen = tuple(tool for tool in request.tools if tool.name == request.tool_choice)
    if not chosen:
        raise InvalidRequest(
            f"tool_choice names {request.tool_choice[:64]!r}, which is not in tools.", param="tool_choice"
        )
    return chosen


def think_of(effort: str | None, details: ModelDetails) -> bool | str | None:
    """The `think` field: None means not sent. Models that know only levels get `low` where others get false."""
    if effort is None or not details.can("thinking"):
        return None
    if details.thinks_in_levels:
        return _LEVELS.get(effort, "high")
    return effort not in _NO_THINKING


def _instructions(request: ChatRequest, tools: Sequence[ToolSpec]) -> list[str]:
    """What Ollama has no field for, or does not show the model, said in words."""
    lines: list[str] = []
    if tools and request.tool_choice == "required":
        lines.append("Answer this by calling at least one of the tools; do not answer in words.")
    elif tools and request.tool_choice != "auto":
        lines.append(f"Answer this by calling the tool {tools[0].name}; do not answer in words.")
    form = request.response_format
    if form is not None and form.type == "json_object":
        lines.append("Answer with one JSON object and nothing else.")
    elif form is not None and form.type == "json_schema" and form.schema is not None:
        schema = orjson.dumps(form.schema, option=orjson.OPT_NON_STR_KEYS).decode()
        lines.append(f"Answer with JSON that fits this schema, and nothing else:\n{schema}")
    return lines


def _with_system(messages: Sequence[Message], instructions: Sequence[str]) -> tuple[Message, ...]:
    """One system message, in first place: strict templates refuse a second one or another place."""
    parts = [m.content for m in messages if m.role == "system" and m.content.strip()] + list(instructions)
    others = tuple(m for m in messages if m.role != "system")
    return (Message("system", "\n\n".join(parts)), *others) if parts else others


def _by_turns(messages: Sequence[Message]) -> tuple[Message, ...]:
    """User and assistant strictly by turns, the user first and last: what one says in a row becomes one message."""
    out: list[Message] = []
    for message in messages:
        before = out[-1] if out else None
        if before is not None and before.role == message.role in ("user", "assistant") and not before.tool_calls:
            text = "\n\n".join(part for part in (before.content, message.content) if part)
            out[-1] = replace(message, content=text, images=(*before.images, *message.images))
            continue
        if message.role == "assistant" and (before is None or before.role == "system"):
            out.append(Message("user", BEGIN))
        out.append(message)
    if out and out[-1].role == "assistant" and not out[-1].tool_calls:
        out.append(Message("user", GO_ON))
    return tuple(out)


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    return [_message(message, names) for message in messages]


def _message(message: Message, names: Mapping[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.images:
        out["images"] = [base64.b64encode(image.data).decode("ascii") for image in message.images]
    if message.role == "assistant":
        if message.reasoning:
            out["thinking"] = message.reasoning
        if message.tool_calls:
            out["tool_calls"] = [_call(index, call) for index, call in enumerate(message.tool_calls)]
    elif message.role == "tool":
        name = message.name or names.get(message.tool_call_id or "")
        if name:
            out["tool_name"] = name
        if message.tool_call_id:
            out["tool_call_id"] = message.tool_call_id
    return out


def _call(index: int, call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "function": {"index": index, "name": call.name, "arguments": arguments_object(call.arguments)},
    }


def arguments_object(arguments: str) -> dict[str, Any]:
    """Arguments as the object Ollama insists on: any other JSON value under `input`, unreadable text as nothing."""
    try:
        value = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        log.info("unreadable arguments of an earlier tool call left out (%d characters)", len(arguments))
        return {}
    return value if isinstance(value, dict) else {"input": value}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": _parameters(tool.parameters)}
    return {"type": "function", "function": function}


def _parameters(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Older servers insist on both keys."""
    return {"type": "object", "properties": {}, **schema}


def _format(form: ResponseFormat | None) -> str | dict[str, Any] | None:
    if form is None or form.type == "text":
        return None
    if form.type == "json_schema" and form.schema:
        return dict(form.schema)
    return "json"


def _options(request: ChatRequest, defaults: Defaults, window: int) -> dict[str, Any]:
    """Sampling options. Of those that make Ollama load a model anew, num_ctx is the only one ever sent."""
    sampling = request.sampling
    limit = sampling.max_tokens
    if _format(request.response_format) is not None:
        # A grammar may leave only white space to generate, and JSON longer than the window is never whole.
        limit = min(limit or window, window)
    wanted: dict[str, Any] = {
        "num_ctx": window,
        "temperature": defaults.temperature if sampling.temperature is None else sampling.temperature,
        "top_p": defaults.top_p if sampling.top_p is None else sampling.top_p,
        "top_k": defaults.top_k if sampling.top_k is None else sampling.top_k,
        "num_predict": limit,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    return {key: value for key, value in wanted.items() if value is not None}
