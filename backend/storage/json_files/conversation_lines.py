"""What stands on the lines of a conversation file: a header, messages, new titles; each with the state after it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from backend.models.conversations import ConversationInfo, StoredMessage
from backend.models.errors import StorageFailed
from backend.models.messages import Role
from backend.storage.json_files.append_log import encode_line

VERSION = 1
_ROLES = frozenset({"system", "user", "assistant", "tool"})


@dataclass(frozen=True, slots=True)
class State:
    """A conversation after one of its lines, without its messages: `digest` stands for what was said so far."""

    session_id: str
    title: str
    created_at: float
    updated_at: float
    messages: int = 0
    digest: str = ""
    renamed: bool = False
    collections: tuple[str, ...] = ()

    def after(self, message: StoredMessage) -> State:
        return replace(
            self,
            messages=self.messages + 1,
            updated_at=max(self.updated_at, message.timestamp),
            digest=chained(self.digest, message.role, message.content),
        )

    def with_title(self, title: str) -> State:
        return replace(self, title=title, renamed=True)

    @property
    def info(self) -> ConversationInfo:
        return ConversationInfo(
            self.session_id, self.title, self.created_at, self.updated_at, self.messages, self.collections
        )


def chained(digest: str, role: str, content: str) -> str:
    """The digest of a history that goes on with one more message: SHA-256 over the digest before and the message.

    Only user messages and assistant messages with text count; whitespace around a text does not.
    """
    text = content.strip()
    if role != "user" and (role != "assistant" or not text):
        return digest
    return hashlib.sha256(f"{digest}\n{role}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()


def history_digest(turns: Iterable[tuple[str, str]]) -> str:
    """The digest of (role, content) pairs; empty when none of them counts."""
    digest = ""
    for role, content in turns:
        digest = chained(digest, role, content)
    return digest


def header_line(state: State) -> bytes:
    return encode_line(
        {
            "type": "conversation",
            "version": VERSION,
            "session_id": state.session_id,
            "title": state.title,
            "created_at": state.created_at,
        }
    )


def message_line(message: StoredMessage, after: State) -> bytes:
    record: dict[str, Any] = {"role": message.role, "content": message.content, "timestamp": message.timestamp}
    if message.extra:
        record["extra"] = dict(message.extra)
    return encode_line({**record, "state": _state_fields(after)})


def title_line(after: State) -> bytes:
    """A line without a message: a new title, or other collections to search, which the state tells."""
    return encode_line({"type": "title", "title": after.title, "state": _state_fields(after)})


def _state_fields(state: State) -> dict[str, Any]:
    """What the last line must tell so that nothing before it, but the header, need be read."""
    fields: dict[str, Any] = {
        "messages": state.messages,
        "updated_at": state.updated_at,
        "digest": state.digest,
    }
    if state.renamed:
        fields["title"] = state.title
    if state.collections:
        fields["collections"] = list(state.collections)
    return fields


def read_header(record: Mapping[str, Any] | None, session_id: str) -> State | None:
    """The state after a header, or None when it is none. The file's name, not its content, says which session it is.

    Raises StorageFailed for a file from a newer version.
    """
    if record is None or record.get("type") != "conversation":
        return None
    version, title, created_at = record.get("version"), record.get("title"), record.get("created_at")
    if not isinstance(version, int) or not isinstance(title, str) or not _is_number(created_at):
        return None
    if version > VERSION:
        raise StorageFailed("This conversation was written by a newer Hearth; update this one.")
    return State(session_id, title, float(cast(float, created_at)), float(cast(float, created_at)))


def read_message(record: Mapping[str, Any] | None) -> StoredMessage | None:
    """The message of a line, or None when it is none."""
    if record is None or record.get("role") not in _ROLES:
        return None
    content, timestamp, extra = record.get("content"), record.get("timestamp"), record.get("extra", {})
    if not isinstance(content, str) or not _is_number(timestamp) or not isinstance(extra, dict):
        return None
    return StoredMessage(cast(Role, record["role"]), content, float(cast(float, timestamp)), extra)


def read_title(record: Mapping[str, Any] | None) -> str | None:
    """The new title of a line, or None when it is none."""
    if record is None or record.get("type") != "title":
        return None
    title = record.get("title")
    return title if isinstance(title, str) else None


def read_state(record: Mapping[str, Any] | None, header: State) -> State | None:
    """The state that a message or title line carries, or None when it carries none that makes sense."""
    fields = None if record is None else record.get("state")
    if not isinstance(fields, dict) or (read_message(record) is None and read_title(record) is None):
        return None
    messages, updated_at, digest = fields.get("messages"), fields.get("updated_at"), fields.get("digest")
    title, collections = fields.get("title", header.title), fields.get("collections", [])
    if not isinstance(messages, int) or not _is_number(updated_at) or not isinstance(digest, str):
        return None
    if not isinstance(title, str) or not isinstance(collections, list):
        return None
    return replace(
        header,
        title=title,
        renamed="title" in fields,
        updated_at=float(cast(float, updated_at)),
        messages=messages,
        digest=digest,
        collections=tuple(each for each in collections if isinstance(each, str)),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
