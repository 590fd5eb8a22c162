"""Who is asking: passwords, access tokens and API keys, through one code path for every credential."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from backend.models.accounts import ApiKey, User, UserRole
from backend.models.errors import InvalidRequest, NotFound, NotSignedIn, TooManyRequests
from backend.models.run import SERVER, Owner
from backend.storage.stores import Stores
from backend.utils.auth import (
    DUMMY_HASH,
    check_password_rules,
    hash_key,
    hash_password,
    new_access_token,
    new_api_key,
    read_access_token,
    verify_password,
)
from backend.utils.ids import new_id

FREE_FAILURES = 5
"""Wrong passwords per account and address before delays begin."""
ADDRESS_FAILURES = 30
"""Wrong passwords per address, whatever the account."""
LONGEST_DELAY_S = 300.0
FORGET_AFTER_S = 3600.0
MAX_REMEMBERED = 10_000
HASHES_AT_ONCE = 2


@dataclass(slots=True)
class _Failures:
    count: int = 0
    until: float = 0.0
    last: float = 0.0


@dataclass(slots=True)
class Throttle:
    """Growing delays after failures, per key. Bounded memory; a right password clears its key.

    Keys hold the caller's address, so a stranger's failures never lock the owner out from elsewhere.
    """

    free: int
    failures: OrderedDict[str, _Failures] = field(default_factory=OrderedDict)

    def check(self, key: str, now: float) -> None:
        """Raises TooManyRequests with Retry-After while the key must wait."""
        entry = self.failures.get(key)
        if entry is not None and entry.until > now:
            wait = max(1, int(entry.until - now + 0.999))
            raise TooManyRequests(
                f"Too many wrong passwords: wait {wait} seconds and try again.", headers={"retry-after": str(wait)}
            )

    def fail(self, key: str, now: float) -> None:
        entry = self.failures.pop(key, None)
        if entry is None or now - entry.last > FORGET_AFTER_S:
            entry = _Failures()
        entry.count += 1
        entry.last = now
        if entry.count >= self.free:
            entry.until = now + min(LONGEST_DELAY_S, 2.0 ** (entry.count - self.free))
        self.failures[key] = entry
        while len(self.failures) > MAX_REMEMBERED:
            self.failures.popitem(last=False)

    def clear(self, key: str) -> None:
        self.failures.pop(key, None)


@dataclass(frozen=True, slots=True)
class Identity:
    """A signed-in caller. `token_id` and `expires_at` only for access tokens, so that logout can revoke them."""

    user: User
    token_id: str | None = None
    expires_at: float = 0.0
    key: ApiKey | None = None

    @property
    def owner(self) -> Owner:
        return self.user.owner


class SignIn:
    """Passwords to tokens, and credentials to identities."""

    def __init__(self, stores: Stores, key: bytes, token_hours: float) -> None:
        self._users = stores.users
        self._sessions = stores.sessions
        self._key = key
        self._hours = token_hours
        self._by_account = Throttle(FREE_FAILURES)
        self._by_address = Throttle(ADDRESS_FAILURES)
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    @property
    def token_seconds(self) -> int:
        """Lifetime of an access token."""
        return int(self._hours * 3600)

    async def login(self, username: str, password: str, address: str) -> tuple[User, str]:
        """The user and a new access token.

        The same work and the same answer for an unknown user, a disabled one and a wrong password.
        Raises NotSignedIn, TooManyRequests.
        """
        now = time.monotonic()
        account = f"{address}|{username.casefold()[:64]}"
        self._by_account.check(account, now)
        self._by_address.check(address, now)
        user = await self._users.find_user(SERVER, username)
        stored = user.password_hash if user is not None else DUMMY_HASH
        async with self._hashing:
            right = await asyncio.to_thread(verify_password, password, stored)
        if user is None or not right or user.disabled:
            self._by_account.fail(account, now)
            self._by_address.fail(address, now)
            raise NotSignedIn("The user name or the password is wrong.", code="invalid_credentials")
        self._by_account.clear(account)
        return user, new_access_token(user, self._key, self._hours, time.time())

    async def identify(self, credential: str) -> Identity:
        """The caller behind an `Authorization: Bearer` value. Raises NotSignedIn."""
        if credential.startswith("sk-"):
            found = await self._users.user_of_key(SERVER, hash_key(credential))
            if found is None:
                raise NotSignedIn("Incorrect API key provided: make one on the page or with `keys create`.")
            user, key = found
            return Identity(user, key=key)
        claims = read_access_token(credential, self._key, time.time())
        try:
            user = await self._users.get_user(SERVER, claims.user_id)
        except NotFound:
            raise NotSignedIn("Your session is no longer valid: sign in again.") from None
        ended = claims.issued_at < user.tokens_valid_from or user.disabled
        if ended or await self._sessions.is_revoked(user.owner, claims.token_id):
            raise NotSignedIn("Your session is no longer valid: sign in again.")
        return Identity(user, claims.token_id, claims.expires_at)

    async def logout(self, identity: Identity) -> None:
        """Refuse this access token from now on."""
        if identity.token_id is None:
            raise InvalidRequest("An API key cannot be logged out: revoke it instead.")
        await self._sessions.revoke_token(identity.owner, identity.token_id, identity.expires_at)

    async def create_user(self, username: str, password: str, role: UserRole) -> User:
        """Raises InvalidRequest for a weak password or a bad name, Conflict when the name is taken."""
        check_password_rules(password)
        async with self._hashing:
            hashed = await asyncio.to_thread(hash_password, password)
        return await self._users.add_user(SERVER, username, hashed, role)

    async def create_key(self, owner: Owner, name: str = "") -> tuple[ApiKey, str]:
        """A new API key and its text, which is stored nowhere."""
        text, key_hash, prefix = new_api_key()
        key = ApiKey(new_id(), owner.user, name or "key", prefix, key_hash, time.time())
        await self._users.add_key(owner, key)
        return key, text
