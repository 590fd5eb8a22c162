"""From the wire body of a chat completion to a checked Question."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import orjson

from backend.core.json_form import check_schema
from backend.llm.port import ResponseFormat, Sampling, ToolChoice
from backend.models.errors import InvalidRequest, UnsupportedParameter
from backend.models.messages import Image, Message, Role, ToolCall
from backend.models.schemas import ChatCompletionRequest, MessageIn, ResponseFormatIn, ToolIn
from backend.models.tools import ToolSpec
from backend.tasks.answering import Question

ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")


def question_of(body: ChatCompletionRequest) -> Question:
    """Raises InvalidRequest or UnsupportedParameter naming the field."""
    _refuse_unsupported(body)
    tools = tuple(_tool(tool, index) for index, tool in enumerate(body.tools or ()))
    return Question(
        model=body.model,
        messages=messages_of(body.messages),
        agent=body.agent,
        tools=tools,
        tool_choice=_tool_choice(body.tool_choice, tools),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        response_format=_response_format(body.response_format),
        sampling=Sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            max_tokens=body.max_completion_tokens or body.max_tokens,
            stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
            seed=body.seed,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
        ),
        reasoning_effort=body.reasoning_effort,
        session_id=body.session_id,
        store=body.store is not False,
        budget=_budget(body),
        enabled_tools=None if body.enabled_tools is None else frozenset(body.enabled_tools),
        disabled_tools=frozenset(body.disabled_tools or ()),
        confirmed_tools=frozenset(body.confirmed_tools or ()),
        streamed=body.stream is True,
    )


def _budget(body: ChatCompletionRequest) -> dict[str, float | None]:
    """The limits the caller sets; `max_iterations` is the older name of one of them."""
    wanted: dict[str, float | None] = body.budget.model_dump() if body.budget is not None else {}
    if wanted.get("iterations") is None:
        wanted["iterations"] = body.max_iterations
    return wanted


def _refuse_unsupported(body: ChatCompletionRequest) -> None:
    """Refuse only what would change the answer's meaning silently."""
    if body.n is not None and body.n > 1:
        raise UnsupportedParameter("n must be 1: ask several times for several answers.", param="n")
    if body.logprobs or body.top_logprobs:
        raise UnsupportedParameter("logprobs are not available here: leave them out.", param="logprobs")
    if body.functions or body.function_call:
        raise UnsupportedParameter("functions is no longer supported: use tools and tool_choice.", param="functions")
    if body.logit_bias:
        raise UnsupportedParameter("logit_bias is not available here: leave it out.", param="logit_bias")
    if body.modalities and "audio" in body.modalities:
        raise UnsupportedParameter("Audio output is not available here: ask for text only.", param="modalities")


def messages_of(messages: Sequence[MessageIn]) -> tuple[Message, ...]:
    """The messages in the house's vocabulary. Raises InvalidRequest."""
    checked = tuple(_message(message, index) for index, message in enumerate(messages))
    if any(message.role == "user" for message in checked):
        return checked
    # Templates of many models refuse a conversation without a user turn; instructions alone are then the request.
    last = max((n for n, message in enumerate(checked) if message.role == "system"), default=None)
    if last is None:
        raise InvalidRequest("messages must hold at least one user message.", param="messages", code="invalid_value")
    return (*checked[:last], replace(checked[last], role="user"), *checked[last + 1 :])


def _message(message: MessageIn, index: int) -> Message:
    role = ROLES[message.role]
    where = f"messages.{index}"
    text, images = _content(message.content, role, where)
    calls = tuple(
        ToolCall(call.id or f"call_{index}_{n}", call.function.name, _arguments(call.function.arguments))
        for n, call in enumerate(message.tool_calls or ())
    )
    if calls and role != "assistant":
        raise InvalidRequest("Only assistant messages carry tool_calls.", param=f"{where}.tool_calls")
    if message.role == "tool" and not message.tool_call_id:
        raise InvalidRequest(
            "A tool message needs the tool_call_id it answers.", param=f"{where}.tool_call_id", code="invalid_value"
        )
    if message.content is None and role not in ("assistant",):
        raise InvalidRequest("content is missing.", param=f"{where}.content", code="invalid_value")
    return Message(role, text, images, calls, message.tool_call_id, message.name, message.reasoning_content or "")


def _arguments(arguments: str | dict[str, Any]) -> str:
    return arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()


def _content(content: str | list[dict[str, Any]] | None, role: Role, where: str) -> tuple[str, tuple[Image, ...]]:
    if content is None:
        return "", ()
    if isinstance(content, str):
        return content, ()
    texts: list[str] = []
    images: list[Image] = []
    for n, part in enumerate(content):
        kind, at = part.get("type"), f"{where}.content.{n}"
        if kind in ("text", "input_text", "output_text", "refusal"):
            text = part.get("text", part.get("refusal"))
            if not isinstance(text, str):
                raise InvalidRequest("text must be a string.", param=f"{at}.text", code="invalid_value")
            texts.append(text)
        elif kind == "image_url" and role == "user":
            images.append(_image(part.get("image_url"), at))
        else:
            raise InvalidRequest(
                f"Content parts of type {str(kind)[:40]!r} are not supported in a {role} message.",
                param=f"{at}.type",
                code="unsupported_content",
            )
    return "\n".join(texts), tuple(images)


def _image(value: Any, at: str) -> Image:
    """A picture sent in the message itself. Addresses are never fetched and paths never opened."""
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str) or not url.startswith("data:"):
        raise InvalidRequest(
            "Send pictures as data: URLs (base64); addresses are not fetched.", param=f"{at}.image_url"
        )
    head, _, encoded = url[5:].partition(",")
    media_type, *options = head.lower().split(";")
    if media_type not in IMAGE_TYPES or "base64" not in options:
        raise InvalidRequest("Pictures must be base64 PNG, JPEG, WebP or GIF.", param=f"{at}.image_url")
    try:
        return Image(media_type, base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        raise InvalidRequest("The picture is not valid base64.", param=f"{at}.image_url") from None


def _tool(tool: ToolIn, index: int) -> ToolSpec:
    if tool.type != "function" or tool.function is None:
        raise UnsupportedParameter(
            "Only tools of type function are supported in chat completions.", param=f"tools.{index}.type"
        )
    schema = tool.function.parameters or {"type": "object", "properties": {}}
    strict = tool.function.strict is True
    if strict:
        check_schema(schema, f"tools.{index}.function.parameters")
    return ToolSpec(tool.function.name, tool.function.description or "", schema, strict=strict)


def _tool_choice(choice: str | dict[str, Any] | None, tools: Sequence[ToolSpec]) -> ToolChoice:
    if choice is None:
        return "auto"
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if choice.get("type") != "function" or not isinstance(name, str):
            raise InvalidRequest("tool_choice must name a function.", param="tool_choice", code="invalid_value")
        if name not in {tool.name for tool in tools}:
            raise InvalidRequest(f"tool_choice names {name[:64]!r}, which is not among tools.", param="tool_choice")
        return name
    if choice not in ("auto", "none", "required"):
        raise InvalidRequest(
            "tool_choice must be none, auto, required or a function.", param="tool_choice", code="invalid_value"
        )
    if not tools and choice == "required":
        raise InvalidRequest("tool_choice needs tools.", param="tool_choice", code="invalid_value")
    return choice


def _response_format(wanted: ResponseFormatIn | None) -> ResponseFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return ResponseFormat("json_object")
    kind: Literal["json_schema"] = "json_schema"
    if wanted.json_schema is None or wanted.json_schema.schema_ is None:
        raise InvalidRequest(
            "response_format.json_schema.schema is missing.", param="response_format.json_schema.schema"
        )
    given = wanted.json_schema
    check_schema(wanted.json_schema.schema_)
    return ResponseFormat(kind, given.name, given.schema_, bool(given.strict))
