"""Conversations as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.models.messages import Role


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One line of a conversation file. `timestamp` is seconds since the epoch.

    `extra` keeps what replay and display need beside the text: run_id, model, steps, citations, partial.
    """

    role: Role
    content: str
    timestamp: float
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation without its messages. `messages` is their number."""

    session_id: str
    title: str
    created_at: float
    updated_at: float
    messages: int
    collections: tuple[str, ...] = ()
    """Ids of the collections it searches; empty means all of the owner's documents."""


@dataclass(frozen=True, slots=True)
class Conversation:
    info: ConversationInfo
    messages: tuple[StoredMessage, ...]
