"""From items to messages: what a model is shown of a history made of items."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.api.file_names import file_name, media_type_of
from backend.api.pictures import picture_of
from backend.models.errors import InvalidRequest, NotFound
from backend.models.messages import Image, Message, Role, ToolCall
from backend.tasks.attachments import Attachment
from backend.tasks.compaction import opened

MESSAGE_ROLES: Mapping[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
AGREED = "I agree to this call of `{name}`: {arguments}"
SUMMARY = "What was said before, in short:\n\n{summary}"
DECLINED = "I do not agree to the call of `{name}`: do not make it."


def conversation_of(
    system: Sequence[str],
    earlier: Sequence[Mapping[str, Any]],
    items: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, Image],
) -> tuple[tuple[Message, ...], tuple[Attachment, ...]]:
    """The conversation as messages, and the files that belong to them: the system's words first, then the earlier
    items, then the request's own.

    Reasoning and the server's own tool work of earlier turns are passed over: the answers stand for them. `pictures`
    are those named by file id. Raises InvalidRequest for calls and outputs that do not belong together, and for
    pictures that are not there, naming `input…`.
    """
    history = _History(pictures, [Message("system", text) for text in system if text])
    for item in earlier:
        history.add(item, "input")
    for n, item in enumerate(items):
        history.add(item, f"input.{n}")
    history.answered()
    return _with_a_user(history.messages), tuple(history.attachments)


@dataclass(slots=True)
class _History:
    """Messages under construction."""

    pictures: Mapping[str, Image]
    messages: list[Message] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """Function by call id, of every call so far."""
    open_calls: dict[str, None] = field(default_factory=dict)
    """Calls without an output, oldest first."""
    requests: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Calls that were put to the user for approval, by their ids."""

    def add(self, item: Mapping[str, Any], at: str) -> None:
        match item["type"]:
            case "message":
                self._message(item, at)
            case "function_call":
                self._call(item, at)
            case "function_call_output":
                self._output(item, at)
            case "mcp_approval_request":
                self.requests[item["id"]] = item
            case "mcp_approval_response":
                self._approval(item, at)
            case "compaction":
                summary = opened(item["encrypted_content"], f"{at}.encrypted_content")
                self._said(SUMMARY.format(summary=summary))
            case _:
                pass

    def answered(self) -> None:
        """Raises InvalidRequest when a call has no output: no model can go on from there."""
        if self.open_calls:
            missing = ", ".join(list(self.open_calls)[:5])
            raise InvalidRequest(
                f"No tool output found for function call {missing}: send a function_call_output for it.",
                param="input",
                code="invalid_value",
            )

    def _message(self, item: Mapping[str, Any], at: str) -> None:
        role = MESSAGE_ROLES[item["role"]]
        text, images = self._content(item["content"], f"{at}.content")
        if role == "assistant":
            self._said(text)
            return
        if role == "user":
            self.answered()
        self.messages.append(Message(role, text, images))

    def _said(self, text: str) -> None:
        """Words of the model; one of its turns may come as several items."""
        last = self.messages[-1] if self.messages else None
        if last is None or last.role != "assistant":
            self.messages.append(Message("assistant", text))
            return
        between = "\n\n" if last.content and text and not text.startswith("\n") else ""
        self.messages[-1] = replace(last, content=last.content + between + text)

    def _call(self, item: Mapping[str, Any], at: str) -> None:
        call = ToolCall(item["call_id"], item["name"], item["arguments"])
        if call.id in self.names:
            raise InvalidRequest(
                f"Two function calls have the call_id {call.id[:64]!r}.", param=f"{at}.call_id", code="invalid_value"
            )
        self.names[call.id] = call.name
        self.open_calls[call.id] = None
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "assistant":
            self.messages[-1] = replace(last, tool_calls=(*last.tool_calls, call))
        else:
            self.messages.append(Message("assistant", tool_calls=(call,)))

    def _output(self, item: Mapping[str, Any], at: str) -> None:
        call_id = item["call_id"]
        if call_id not in self.open_calls:
            raise InvalidRequest(
                f"No tool call found for function call output with call_id {call_id[:64]}.",
                param=f"{at}.call_id",
                code="invalid_value",
            )
        del self.open_calls[call_id]
        output = item["output"]
        text, images = (output, ()) if isinstance(output, str) else self._content(output, f"{at}.output")
        self.messages.append(Message("tool", text, images, tool_call_id=call_id, name=self.names[call_id]))

    def _content(self, parts: Sequence[Mapping[str, Any]], at: str) -> tuple[str, tuple[Image, ...]]:
        """Text and pictures of checked parts; their files belong to the message that comes next."""
        texts: list[str] = []
        images: list[Image] = []
        for n, part in enumerate(parts):
            kind, param = part["type"], f"{at}.{n}"
            if kind == "refusal":
                texts.append(part["refusal"])
            elif kind == "input_image":
                images.append(self._picture(part, param))
            elif kind == "input_file":
                self.attachments.append(_attachment(part, len(self.messages), param))
            elif "text" in part:
                texts.append(part["text"])
        return "\n".join(texts), tuple(images)

    def _picture(self, part: Mapping[str, Any], param: str) -> Image:
        if part.get("image_url"):
            return picture_of(part["image_url"], f"{param}.image_url")
        found = self.pictures.get(part.get("file_id") or "")
        if found is None:
            raise NotFound("There is no picture with this id: upload it first.", param=f"{param}.file_id")
        return found

    def _approval(self, item: Mapping[str, Any], at: str) -> None:
        request = self.requests.get(item["approval_request_id"])
        if request is None:
            raise InvalidRequest(
                "There is no approval request of this id before the response.",
                param=f"{at}.approval_request_id",
                code="invalid_value",
            )
        said = AGREED if item["approve"] else DECLINED
        words = said.format(name=request["name"], arguments=request["arguments"])
        reason = item.get("reason")
        self.messages.append(Message("user", f"{words}\n{reason}" if reason else words))


def _attachment(part: Mapping[str, Any], message: int, param: str) -> Attachment:
    """The file of a part, by its id or decoded. Raises InvalidRequest."""
    if part.get("file_id"):
        return Attachment(message, param, part["file_id"])
    head, comma, encoded = part["file_data"].partition(",")
    encoded = encoded if comma and head.startswith("data:") else part["file_data"]
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            "file_data is not valid base64.", param=f"{param}.file_data", code="invalid_value"
        ) from None
    name = file_name(part["filename"], media_type_of(head) if comma else "")
    return Attachment(message, param, None, name, data)


def approved_calls(earlier: Sequence[Mapping[str, Any]], items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The `mcp_approval_request` items that the newest input agrees to."""
    agreed = {
        each["approval_request_id"] for each in items if each["type"] == "mcp_approval_response" and each["approve"]
    }
    return [each for each in (*earlier, *items) if each["type"] == "mcp_approval_request" and each["id"] in agreed]


def _with_a_user(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Templates of many models refuse a conversation without a user turn; instructions alone are then the request."""
    if any(message.role == "user" for message in messages):
        return tuple(messages)
    last = max((n for n, message in enumerate(messages) if message.role == "system"), default=None)
    if last is None:
        raise InvalidRequest("input must hold at least one user message.", param="input", code="invalid_value")
    return (*messages[:last], replace(messages[last], role="user"), *messages[last + 1 :])
