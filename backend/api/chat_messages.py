"""The messages of a chat completion: roles, content parts, pictures and files, in the house's vocabulary."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from backend.api.file_names import file_name, media_type_of
from backend.api.pictures import picture_of
from backend.models.errors import InvalidRequest
from backend.models.messages import Image, Message, Role, ToolCall
from backend.models.schemas import FunctionCallIn, MessageIn
from backend.tasks.attachments import Attachment

ROLES: dict[str, Role] = {
    "developer": "system",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
UNSUPPORTED = "unsupported_content"


def messages_of(messages: Sequence[MessageIn]) -> tuple[Message, ...]:
    """One Message for each, without the files, see attachments_of. Raises InvalidRequest."""
    checked: list[Message] = []
    asked: dict[str, str] = {}
    for index, message in enumerate(messages):
        checked.append(_message(message, index, asked))
        if message.function_call is not None:
            asked[message.function_call.name] = _legacy_id(index)
    _check_results(messages, checked)
    if any(message.role == "user" for message in checked):
        return tuple(checked)
    # Templates of many models refuse a conversation without a user turn; instructions alone are then the request.
    last = max((n for n, message in enumerate(checked) if message.role == "system"), default=None)
    if last is None:
        raise InvalidRequest("messages must hold at least one user message.", param="messages", code="invalid_value")
    return (*checked[:last], replace(checked[last], role="user"), *checked[last + 1 :])


def attachments_of(messages: Sequence[MessageIn]) -> tuple[Attachment, ...]:
    """The files of all messages, in order. Raises InvalidRequest."""
    return tuple(
        _file(part.get("file"), index, f"messages.{index}.content.{n}.file")
        for index, message in enumerate(messages)
        if isinstance(message.content, list)
        for n, part in enumerate(message.content)
        if part.get("type") == "file"
    )


def _message(message: MessageIn, index: int, asked: dict[str, str]) -> Message:
    """`asked`: ids given to earlier calls of the older form, by function."""
    role = ROLES[message.role]
    where = f"messages.{index}"
    text, images = _content(message.content, role, where)
    if role == "assistant" and not text and message.refusal:
        text = message.refusal
    calls = tuple(
        _call(call.id or f"call_{index}_{n}", call.function) for n, call in enumerate(message.tool_calls or ())
    )
    if message.function_call is not None:
        calls = (*calls, _call(_legacy_id(index), message.function_call))
    if calls and role != "assistant":
        raise InvalidRequest("Only assistant messages carry tool_calls.", param=f"{where}.tool_calls")
    call_id = message.tool_call_id
    if message.role == "function" and not call_id:
        call_id = asked.get(message.name or "")
        if call_id is None:
            raise InvalidRequest(
                "A function message needs the name of a function that an assistant message before it called.",
                param=f"{where}.name",
                code="invalid_value",
            )
    if role == "tool" and not call_id:
        raise InvalidRequest(
            "A tool message needs the tool_call_id it answers.", param=f"{where}.tool_call_id", code="invalid_value"
        )
    if message.content is None and role != "assistant":
        raise InvalidRequest("content is missing.", param=f"{where}.content", code="invalid_value")
    return Message(role, text, images, calls, call_id, message.name, message.reasoning_content or "")


def _check_results(messages: Sequence[MessageIn], checked: Sequence[Message]) -> None:
    """Every call is answered right behind it, and every result answers one of the calls before it.

    Calls of the older form have no ids, and `function` messages are matched by name.
    """
    place, asked = 0, frozenset[str]()
    open_calls: set[str] = set()
    for index, (given, message) in enumerate(zip(messages, checked, strict=True)):
        if given.role == "tool":
            if message.tool_call_id not in asked:
                raise InvalidRequest(
                    "A tool message must answer one of the tool_calls of the assistant message before it.",
                    param=f"messages.{index}.tool_call_id",
                    code="invalid_value",
                )
            open_calls.discard(message.tool_call_id)
        elif given.role != "function":
            _refuse_unanswered(open_calls, place)
            place, asked = index, frozenset(call.id for call in message.tool_calls if given.tool_calls)
            open_calls = set(asked)
    _refuse_unanswered(open_calls, place)


def _refuse_unanswered(open_calls: set[str], place: int) -> None:
    if open_calls:
        named = ", ".join(sorted(call[:64] for call in open_calls)[:5])
        raise InvalidRequest(
            f"Right behind an assistant message with tool_calls, a tool message must answer each; missing is {named}.",
            param=f"messages.{place}.tool_calls",
            code="invalid_value",
        )


def _legacy_id(index: int) -> str:
    return f"call_{index}_function"


def _call(call_id: str, function: FunctionCallIn) -> ToolCall:
    arguments = function.arguments
    return ToolCall(
        call_id, function.name, arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    )


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
        elif kind != "file" or role != "user":
            raise InvalidRequest(
                f"Content parts of type {str(kind)[:40]!r} are not supported in a {role} message.",
                param=f"{at}.type",
                code=UNSUPPORTED,
            )
    return "\n".join(texts), tuple(images)


def _image(value: Any, at: str) -> Image:
    """A picture sent in the message itself. Addresses are never fetched and paths never opened."""
    url = value.get("url") if isinstance(value, dict) else value
    return picture_of(url if isinstance(url, str) else "", f"{at}.image_url")


def _file(value: Any, message: int, param: str) -> Attachment:
    given = value if isinstance(value, dict) else {}
    file_id, data, name = given.get("file_id"), given.get("file_data"), given.get("filename")
    if isinstance(file_id, str) and file_id and data is None:
        return Attachment(message, param, file_id=file_id)
    if not isinstance(data, str) or not data or file_id is not None:
        raise InvalidRequest(
            "A file is either the file_id of an upload, or file_data (a base64 data: URL) with a filename.",
            param=param,
            code="invalid_value",
        )
    head, comma, encoded = data.partition(",")
    media_type = media_type_of(head) if comma else ""
    decoded = _decoded(encoded if comma else data)
    if not decoded:
        raise InvalidRequest("file_data is not valid base64.", param=f"{param}.file_data", code="invalid_value")
    return Attachment(message, param, filename=file_name(name, media_type), data=decoded)


def _decoded(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
