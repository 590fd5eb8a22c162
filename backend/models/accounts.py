"""Users, API keys and refresh tokens as they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend.models.run import Owner

UserRole = Literal["admin", "user"]


@dataclass(frozen=True, slots=True)
class User:
    """`id` is server-made and names the user's folders; `username` is lower case, 3-64 of [a-z0-9._-].

    `tokens_valid_from` (seconds since the epoch): access tokens issued before it are refused.
    """

    id: str
    username: str
    role: UserRole
    password_hash: str
    created_at: float
    tenant: str
    tokens_valid_from: float = 0.0
    disabled: bool = False

    @property
    def owner(self) -> Owner:
        return Owner(self.tenant, self.id)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`key_hash` is SHA-256 hex of the whole key; `prefix` its first 10 characters, for recognition."""

    id: str
    user_id: str
    name: str
    prefix: str
    key_hash: str
    created_at: float
    last_used_at: float | None = None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """Single use. `token_hash` is SHA-256 hex; `family` joins all that descend from one login."""

    token_hash: str
    family: str
    user_id: str
    created_at: float
    expires_at: float
    spent: bool = False
