"""Ports for accounts: users, API keys, sessions."""

from __future__ import annotations

from typing import Protocol

from backend.models.accounts import ApiKey, RefreshToken, User, UserRole
from backend.models.run import Owner


class UserStore(Protocol):
    """Accounts of one tenant. `owner` is SERVER for authentication, the command line and administrators' calls
    (whose role the edge has checked); any other owner sees and changes only the account that is its own, and
    everything else is NotFound.
    """

    async def add_user(self, owner: Owner, username: str, password_hash: str, role: UserRole) -> User:
        """Raises Conflict when the (folded) name is taken, InvalidRequest when it is not a valid name."""
        ...

    async def find_user(self, owner: Owner, username: str) -> User | None: ...

    async def get_user(self, owner: Owner, user_id: str) -> User:
        """Raises NotFound."""
        ...

    async def list_users(self, owner: Owner) -> list[User]:
        """By name."""
        ...

    async def update_user(
        self,
        owner: Owner,
        user_id: str,
        *,
        password_hash: str | None = None,
        role: UserRole | None = None,
        disabled: bool | None = None,
        tokens_valid_from: float | None = None,
    ) -> User:
        """Change what is given. Raises NotFound."""
        ...

    async def remove_user(self, owner: Owner, user_id: str) -> None:
        """Remove the account and its keys. Raises NotFound."""
        ...

    async def add_key(self, owner: Owner, key: ApiKey) -> None: ...

    async def list_keys(self, owner: Owner, user_id: str | None = None) -> list[ApiKey]:
        """Of one user, newest first; None means the owner's own, and for SERVER all."""
        ...

    async def remove_key(self, owner: Owner, key_id: str) -> None:
        """Raises NotFound."""
        ...

    async def user_of_key(self, owner: Owner, key_hash: str) -> tuple[User, ApiKey] | None:
        """The user a key belongs to, for authentication (SERVER only); None when unknown, expired or disabled.

        Also notes the time of use, lazily (not fsynced for each request).
        """
        ...


class SessionStore(Protocol):
    """Revoked access tokens and refresh tokens."""

    async def revoke_token(self, owner: Owner, token_id: str, expires_at: float) -> None:
        """Refuse the access token with this `jti` from now on."""
        ...

    async def is_revoked(self, owner: Owner, token_id: str) -> bool:
        """Answered from memory: called on every request."""
        ...

    async def add_refresh(self, owner: Owner, token: RefreshToken) -> None: ...

    async def spend_refresh(self, owner: Owner, token_hash: str) -> RefreshToken | None:
        """Spend a refresh token once. None when unknown, expired, or spent before (its family is then revoked)."""
        ...

    async def revoke_refresh(self, owner: Owner) -> None:
        """Forget every refresh token of this owner's user."""
        ...
