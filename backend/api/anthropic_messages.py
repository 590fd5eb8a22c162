"""Anthropic's messages, blocks within turns, as the house's messages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import orjson

from backend.api.anthropic_tools import house_id
from backend.api.pictures import IMAGE_TYPES
from backend.models.errors import InvalidRequest, UnsupportedParameter
from backend.models.messages import Image, Message, ToolCall
from backend.models.schemas_anthropic import (
    AnthropicMessageIn,
    BlockIn,
    DocumentSourceIn,
    InnerBlockIn,
    LeafBlockIn,
    SourceIn,
)
from backend.tasks.attachments import Attachment
from backend.utils.untrusted import fenced, new_fence

SEEN = "The pictures that the tool returned:"


def _system(blocks: Sequence[LeafBlockIn], where: str) -> Message:
    texts: list[str] = []
    for n, block in enumerate(blocks):
        if block.type != "text":
            raise _unsupported(block, f"{where}.{n}", "system prompt")
        texts.append(_text(block, f"{where}.{n}"))
    return Message("system", "\n\n".join(texts))


@dataclass(slots=True)
class Conversation:
    """Messages, and the files that were sent with them. `fence` is the delimiter around what others wrote."""

    fence: str
    messages: list[Message] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)

    def add(self, message: Message, said: Said) -> None:
        """A message with what else was said in it."""
        place = len(self.messages)
        self.messages.append(replace(message, attached="\n\n".join(said.quoted)))
        self.attachments += [replace(file, message=place) for file in said.files]


@dataclass(slots=True)
class Said:
    """What one turn, or one tool's result, holds."""

    texts: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    quoted: list[str] = field(default_factory=list)
    """What somebody else wrote, fenced."""
    files: list[Attachment] = field(default_factory=list)
    """Files that have to be read first."""

    def __bool__(self) -> bool:
        return bool(self.texts or self.images or self.quoted or self.files)


def conversation_of(
    system: Sequence[LeafBlockIn], messages: Sequence[AnthropicMessageIn], *, continued: bool = False
) -> Conversation:
    """The turns in order. A turn with results of tools becomes one message each, and one for what else it says.

    `continued`: the conversation goes on from stored turns, so the calls behind results need not be here.
    Raises InvalidRequest or UnsupportedParameter naming the block.
    """
    out = Conversation(new_fence())
    if system:
        out.messages.append(_system(system, "system"))
    for index, message in enumerate(messages):
        where = f"messages.{index}.content"
        if message.role == "system":
            out.messages.append(_system(message.content, where))
        elif message.role == "assistant":
            out.messages.append(_assistant(message.content, where))
        else:
            _user(out, message.content, where)
        _check_results(messages, index, continued)
    if not any(message.role == "user" for message in messages):
        raise InvalidRequest("messages must hold at least one user message.", param="messages", code="invalid_value")
    return out


def _check_results(messages: Sequence[AnthropicMessageIn], index: int, continued: bool) -> None:
    """Every call is answered in the turn behind it, and every result answers a call of the turn before."""
    before = messages[index - 1] if index else None
    asked = [b.id for b in before.content if b.type == "tool_use"] if before is not None else []
    message = messages[index]
    given = [b.tool_use_id for b in message.content if b.type == "tool_result"]
    missing = [str(each)[:64] for each in asked if each not in given]
    if missing:
        raise InvalidRequest(
            f"tool_use ids were found without tool_result blocks immediately after: {', '.join(missing)}.",
            param=f"messages.{index - 1}",
            code="invalid_value",
        )
    unknown = [str(each)[:64] for each in given if each not in asked]
    if unknown and not (continued and index == 0):
        raise InvalidRequest(
            f"A tool_result must answer a tool_use of the message before it; these do not: {', '.join(unknown)}.",
            param=f"messages.{index}",
            code="invalid_value",
        )
    if index == len(messages) - 1 and any(block.type == "tool_use" for block in message.content):
        raise InvalidRequest(
            "The last message asks for tools: send their results in a user message behind it.",
            param=f"messages.{index}",
            code="invalid_value",
        )


# ---- assistant ----------------------------------------------------------------------------------


def _assistant(blocks: Sequence[BlockIn], where: str) -> Message:
    texts: list[str] = []
    thinking: list[str] = []
    calls: list[ToolCall] = []
    for n, block in enumerate(blocks):
        at = f"{where}.{n}"
        if block.type == "text":
            texts.append(_text(block, at))
        elif block.type == "thinking":
            thinking.append(block.thinking or "")
        elif block.type == "tool_use":
            calls.append(_call(block, at))
        elif not _is_past(block.type):
            raise _unsupported(block, at, "assistant message")
    # What the model wrote in one go comes back cut into blocks where something else stood between or was cited.
    return Message("assistant", "".join(texts), tool_calls=tuple(calls), reasoning="\n\n".join(thinking))


def _is_past(kind: str) -> bool:
    """What a server did in an earlier turn: what came of it is in the answer's text."""
    return kind in ("redacted_thinking", "server_tool_use", "mcp_tool_use") or kind.endswith("_tool_result")


def _call(block: BlockIn, at: str) -> ToolCall:
    for name in ("id", "name"):
        if not getattr(block, name):
            raise _missing(f"{at}.{name}")
    arguments = orjson.dumps(block.input or {}).decode()
    return ToolCall(house_id(block.id or ""), block.name or "", arguments)


# ---- user ---------------------------------------------------------------------------------------


def _user(out: Conversation, blocks: Sequence[BlockIn], where: str) -> None:
    """Results of tools first, as a model needs them right behind the calls; then what the user says."""
    if not blocks:
        raise InvalidRequest("A user message must have content.", param=where, code="invalid_value")
    said, seen = Said(), Said()
    for n, block in enumerate(blocks):
        at = f"{where}.{n}"
        if block.type != "tool_result":
            _take(block, said, at, out.fence)
            continue
        result = Said()
        for m, inner in enumerate(block.content or ()):
            _take(inner, result, f"{at}.content.{m}", out.fence)
        out.add(_result(block, result, at), result)
        seen.images += result.images
    if seen:
        # A model sees pictures in the turns of users only.
        out.add(Message("user", SEEN, tuple(seen.images)), seen)
    if said:
        out.add(Message("user", "\n".join(said.texts), tuple(said.images)), said)


def _result(block: BlockIn, said: Said, at: str) -> Message:
    if not block.tool_use_id:
        raise _missing(f"{at}.tool_use_id")
    text = "\n".join(said.texts)
    if block.is_error:
        text = f"Error: {text}" if text else "Error: the tool failed."
    return Message("tool", text, tool_call_id=house_id(block.tool_use_id))


def _take(block: LeafBlockIn, said: Said, at: str, fence: str) -> None:
    """One block of what is said or shown."""
    if block.type == "text":
        said.texts.append(_text(block, at))
    elif block.type == "image":
        said.images.append(_picture(block, at))
    elif block.type == "document" and isinstance(block, InnerBlockIn):
        _document(block, said, at, fence)
    elif block.type == "search_result" and isinstance(block, InnerBlockIn):
        origin = (block.source.data if block.source is not None else None) or "a search"
        found = [_text(leaf, f"{at}.content.{n}") for n, leaf in enumerate(block.content or ())]
        said.quoted.append(fenced("\n".join(found), _one_line(block.title or origin), fence))
    else:
        raise _unsupported(block, at, "user message")


def _document(block: InnerBlockIn, said: Said, at: str, fence: str) -> None:
    source, at = block.source, f"{at}.source"
    if source is None:
        raise _missing(at)
    title = _one_line(block.title or "document")
    if source.type == "base64" and source.media_type == "application/pdf":
        name = title if title.lower().endswith(".pdf") else f"{title}.pdf"
        said.files.append(Attachment(0, at, filename=name, data=_decoded(source, at)))
    elif source.type == "file":
        if not source.file_id:
            raise _missing(f"{at}.file_id")
        said.files.append(Attachment(0, at, file_id=source.file_id))
    elif source.type in ("text", "content"):
        context = [block.context] if block.context else []
        texts = _texts_of(source, said, at, fence)
        said.quoted.append(fenced("\n".join([*context, *texts]), title, fence))
    else:
        raise UnsupportedParameter(
            "Documents are taken as text, as blocks of content, as a base64 PDF or by file_id.", param=f"{at}.type"
        )


def _texts_of(source: DocumentSourceIn, said: Said, at: str, fence: str) -> list[str]:
    """The text of a document; its pictures are seen with the turn."""
    if source.type == "text":
        if source.data is None:
            raise _missing(f"{at}.data")
        return [source.data]
    inner = Said()
    for n, leaf in enumerate(source.content or ()):
        _take(leaf, inner, f"{at}.content.{n}", fence)
    said.images += inner.images
    return inner.texts


def _picture(block: LeafBlockIn, at: str) -> Image:
    """A picture sent in the message itself. Addresses are never fetched."""
    source, at = block.source, f"{at}.source"
    if source is None:
        raise _missing(at)
    if source.type != "base64":
        raise UnsupportedParameter("Send pictures as base64: addresses are not fetched.", param=f"{at}.type")
    if source.media_type not in IMAGE_TYPES:
        raise InvalidRequest("Pictures must be PNG, JPEG, WebP or GIF.", param=f"{at}.media_type", code="invalid_value")
    return Image(source.media_type, _decoded(source, at))


# ---- fields -------------------------------------------------------------------------------------


def _one_line(title: str) -> str:
    """What a document is called, at decent length."""
    return " ".join(title.split())[:200]


def _text(block: LeafBlockIn, at: str) -> str:
    if block.type != "text":
        raise _unsupported(block, at, "place where only text stands")
    if block.text is None:
        raise _missing(f"{at}.text")
    return block.text


def _decoded(source: SourceIn, at: str) -> bytes:
    if not source.data:
        raise _missing(f"{at}.data")
    try:
        return base64.b64decode(source.data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("This is not valid base64.", param=f"{at}.data", code="invalid_value") from None


def _missing(param: str) -> InvalidRequest:
    return InvalidRequest("Field required.", param=param, code="invalid_value")


def _unsupported(block: LeafBlockIn, at: str, place: str) -> InvalidRequest:
    return InvalidRequest(
        f"Blocks of type {block.type[:40]!r} are not supported in a {place}.",
        param=f"{at}.type",
        code="unsupported_content",
    )
