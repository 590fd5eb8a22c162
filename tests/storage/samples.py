"""Owners and things to store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

from backend.config.settings import Settings
from backend.models.accounts import ApiKey, RefreshToken
from backend.models.conversations import StoredMessage
from backend.models.documents import Document
from backend.models.messages import Message
from backend.models.run import Owner
from backend.storage.stores import Stores
from backend.utils.auth import hash_key
from backend.utils.ids import new_id

ALICE = Owner("default", "user-" + "a" * 32)
BOB = Owner("default", "user-" + "b" * 32)
ALICE_ELSEWHERE = Owner("acme", ALICE.user)


def settings_for(data_dir: Path) -> Settings:
    """Settings that know nothing of the environment's `.env`."""
    return Settings(data_dir=data_dir, _env_file=None)


def said(role: str, content: str, **extra: object) -> StoredMessage:
    return StoredMessage(role, content, time.time(), extra)  # type: ignore[arg-type]


def turns(*texts: str) -> list[Message]:
    """User and assistant in turn."""
    return [Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(texts)]


def stored(*texts: str) -> list[StoredMessage]:
    return [said("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(texts)]


async def parts(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def upload(stores: Stores, owner: Owner, data: bytes, name: str = "notes.txt") -> Document:
    return await stores.documents.receive(owner, name, parts(data), 1_000_000)


def api_key(user_id: str, text: str = "sk-abc", **changes: float) -> ApiKey:
    return ApiKey(new_id("key-"), user_id, "laptop", text[:10], hash_key(text), time.time(), **changes)


def refresh_token(user_id: str, text: str, family: str = "login-1", seconds: float = 3600) -> RefreshToken:
    now = time.time()
    return RefreshToken(hash_key(text), family, user_id, now, now + seconds)
