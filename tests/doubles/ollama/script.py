"""Scripted replies: which entry answers which request, how often, and in what order."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.ollama.records import full_name

GENERATION_PATHS = ("/api/chat", "/api/generate")
_MATCH_KEYS = {
    "path",
    "model",
    "contains",
    "last_contains",
    "system_contains",
    "last_role",
    "has_tools",
    "has_tool",
    "has_tool_result",
    "has_format",
    "format_property",
    "stream",
    "think",
}
_ENTRY_KEYS = {"match", "reply", "fault", "times", "rate", "sequence"}


def message_text(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if isinstance(messages, list):
        return [message for message in messages if isinstance(message, dict)]
    prompt = body.get("prompt") or body.get("input")
    return [{"role": "user", "content": prompt if isinstance(prompt, str) else json.dumps(prompt)}] if prompt else []


def conversation_key(body: dict[str, Any]) -> str:
    """Requests of one conversation share model, system prompt and first user message."""
    messages = _messages(body)
    system = next((message_text(message) for message in messages if message.get("role") == "system"), "")
    first = next((message_text(message) for message in messages if message.get("role") == "user"), "")
    return hashlib.sha1(json.dumps([body.get("model"), system, first]).encode()).hexdigest()


@dataclass(slots=True)
class Scripted:
    """What a matching entry says about one request."""

    reply: dict[str, Any] | None
    faults: list[dict[str, Any]]
    entry: Entry
    key: str

    def give_back(self) -> None:
        """The request never got as far as a reply: the entry counts as unused."""
        if self.entry.left is not None:
            self.entry.left += 1
        if self.key in self.entry.positions:
            self.entry.positions[self.key] -= 1


@dataclass(slots=True)
class Entry:
    """One line of a script; see the README for its keys."""

    match: dict[str, Any]
    reply: dict[str, Any] | None
    faults: list[dict[str, Any]]
    left: int | None
    rate: float
    sequence: list[dict[str, Any]] | None
    index: int
    used: int = 0
    positions: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: dict[str, Any], index: int) -> Entry:
        """Raises ValueError for a key nobody would read: a typo in a test must not pass unseen."""
        match = value.get("match") or {}
        unknown = (set(value) - _ENTRY_KEYS) | (set(match) - _MATCH_KEYS)
        if unknown:
            raise ValueError(f"unknown script keys: {sorted(unknown)}")
        fault = value.get("fault") or []
        return cls(
            match=match,
            reply=value.get("reply"),
            faults=fault if isinstance(fault, list) else [fault],
            left=value.get("times"),
            rate=float(value.get("rate", 1.0)),
            sequence=value.get("sequence"),
            index=index,
        )

    def matches(self, path: str, body: dict[str, Any]) -> bool:
        wanted_path = self.match.get("path")
        if wanted_path is None and path not in GENERATION_PATHS:
            return False
        if wanted_path not in (None, "*", path):
            return False
        return all(_holds(key, wanted, body) for key, wanted in self.match.items() if key != "path")

    def take(self, body: dict[str, Any]) -> Scripted | None:
        """Use the entry once, or None when this conversation's sequence is at its end."""
        reply, faults, key = self.reply, self.faults, ""
        if self.sequence is not None:
            key = conversation_key(body)
            position = self.positions.get(key, 0)
            if position >= len(self.sequence):
                return None
            self.positions[key] = position + 1
            item = self.sequence[position]
            reply = item.get("reply", None if "fault" in item else item)
            fault = item.get("fault") or []
            faults = faults + (fault if isinstance(fault, list) else [fault])
        if self.left is not None:
            self.left -= 1
        self.used += 1
        return Scripted(reply, faults, self, key)


def _holds(key: str, wanted: Any, body: dict[str, Any]) -> bool:
    messages = _messages(body)
    if key == "model":
        name = body.get("model")
        return isinstance(name, str) and (full_name(name) or name).lower() == (full_name(wanted) or wanted).lower()
    if key == "contains":
        last_user = next((m for m in reversed(messages) if m.get("role") == "user"), None)
        return wanted.lower() in message_text(last_user).lower()
    if key == "last_contains":
        return bool(messages) and wanted.lower() in message_text(messages[-1]).lower()
    if key == "system_contains":
        return any(m.get("role") == "system" and wanted.lower() in message_text(m).lower() for m in messages)
    if key == "last_role":
        return bool(messages) and messages[-1].get("role") == wanted
    if key == "has_tools":
        return bool(body.get("tools")) is wanted
    if key == "has_tool":
        tools = body.get("tools") or []
        return any(isinstance(tool, dict) and (tool.get("function") or {}).get("name") == wanted for tool in tools)
    if key == "has_tool_result":
        return any(m.get("role") == "tool" for m in messages) is wanted
    if key == "has_format":
        return bool(body.get("format")) is wanted
    if key == "format_property":
        schema = body.get("format")
        return isinstance(schema, dict) and wanted in (schema.get("properties") or {})
    if key == "stream":
        return body.get("stream", True) is wanted
    return bool(body.get("think") == wanted)


class Script:
    """Entries in order; the first that matches and is not used up answers."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._random = random.Random(7)

    def clear(self) -> None:
        self.entries = []
        self._random = random.Random(7)

    def extend(self, entries: list[dict[str, Any]]) -> None:
        start = len(self.entries)
        self.entries += [Entry.from_json(value, start + offset) for offset, value in enumerate(entries)]

    def find(self, path: str, body: Any) -> Scripted | None:
        if not self.entries:
            return None
        fields = body if isinstance(body, dict) else {}
        for entry in self.entries:
            if entry.left == 0 or not entry.matches(path, fields):
                continue
            if entry.rate < 1.0 and self._random.random() >= entry.rate:
                continue
            taken = entry.take(fields)
            if taken is not None:
                return taken
        return None
