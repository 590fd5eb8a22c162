"""Accounts and API keys in `users.json`."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backend.models.accounts import ApiKey, User, UserRole
from backend.models.errors import Conflict, NotAllowed, StorageFailed
from backend.models.run import Owner
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.paths import is_server, missing
from backend.storage.json_files.shared_json import SharedJson, good_records
from backend.utils.ids import new_id
from backend.utils.names import check_username, fold_username

logger = logging.getLogger(__name__)

USE_NOTED_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Accounts:
    """All users and keys by id, and how to find them."""

    users: Mapping[str, User]
    keys: Mapping[str, ApiKey]
    names: Mapping[tuple[str, str], str]
    hashes: Mapping[str, str]

    @classmethod
    def of(cls, users: Iterable[User], keys: Iterable[ApiKey]) -> Accounts:
        by_id = {user.id: user for user in users}
        kept = {key.id: key for key in keys if key.user_id in by_id}
        names = {(user.tenant, user.username): user.id for user in by_id.values()}
        return cls(by_id, kept, names, {key.key_hash: key.id for key in kept.values()})

    def with_user(self, user: User) -> Accounts:
        return Accounts.of({**self.users, user.id: user}.values(), self.keys.values())

    def with_key(self, key: ApiKey) -> Accounts:
        return Accounts.of(self.users.values(), {**self.keys, key.id: key}.values())


class AccountsFormat:
    """`{"users": […], "keys": […]}`."""

    def __init__(self) -> None:
        from pydantic import TypeAdapter

        self._user: Callable[[Any], User] = TypeAdapter(User).validate_python
        self._key: Callable[[Any], ApiKey] = TypeAdapter(ApiKey).validate_python

    def empty(self) -> Accounts:
        return Accounts.of((), ())

    def to_json(self, state: Accounts) -> dict[str, Any]:
        return {
            "users": [asdict(user) for user in state.users.values()],
            "keys": [asdict(key) for key in state.keys.values()],
        }

    def from_json(self, data: dict[str, Any]) -> tuple[Accounts, int]:
        users, bad_users = good_records(data.get("users"), self._user)
        keys, bad_keys = good_records(data.get("keys"), self._key)
        return Accounts.of(users, keys), bad_users + bad_keys


class JsonUserStore:
    """UserStore over one file. Look-ups are answered from memory."""

    def __init__(self, folder: Path, disk: Disk, damages: Damages) -> None:
        self._file: SharedJson[Accounts] = SharedJson(folder / "users.json", disk, damages, AccountsFormat())
        self._uses: dict[str, float] = {}
        self._uses_noted = 0.0
        self._noting: asyncio.Task[None] | None = None

    async def add_user(self, owner: Owner, username: str, password_hash: str, role: UserRole) -> User:
        if not is_server(owner):
            raise missing("user")
        name = check_username(username)
        user = User(new_id("user-"), name, role, password_hash, time.time(), owner.tenant)

        def add(accounts: Accounts) -> tuple[Accounts, User]:
            if (owner.tenant, name) in accounts.names:
                raise Conflict("This user name is taken; choose another.", param="username")
            return accounts.with_user(user), user

        return await self._file.change(add)

    async def find_user(self, owner: Owner, username: str) -> User | None:
        accounts = await self._file.read()
        found = accounts.names.get((owner.tenant, fold_username(username)))
        user = accounts.users[found] if found is not None else None
        return user if user is not None and _may_see(owner, user) else None

    async def get_user(self, owner: Owner, user_id: str) -> User:
        return _user(await self._file.read(), owner, user_id)

    async def list_users(self, owner: Owner) -> list[User]:
        accounts = await self._file.read()
        seen = [user for user in accounts.users.values() if _may_see(owner, user)]
        return sorted(seen, key=lambda user: user.username)

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
        given = {
            "password_hash": password_hash,
            "role": role,
            "disabled": disabled,
            "tokens_valid_from": tokens_valid_from,
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}

        def update(accounts: Accounts) -> tuple[Accounts, User]:
            user = _user(accounts, owner, user_id)
            if not is_server(owner) and (role is not None or disabled is not None):
                raise NotAllowed("Only an administrator can change the role of an account or disable it.")
            changed = replace(user, **changes)
            return (accounts.with_user(changed), changed) if changes else (accounts, user)

        return await self._file.change(update)

    async def remove_user(self, owner: Owner, user_id: str) -> None:
        def remove(accounts: Accounts) -> tuple[Accounts, None]:
            _user(accounts, owner, user_id)
            users = [user for user in accounts.users.values() if user.id != user_id]
            return Accounts.of(users, accounts.keys.values()), None

        await self._file.change(remove)

    async def add_key(self, owner: Owner, key: ApiKey) -> None:
        def add(accounts: Accounts) -> tuple[Accounts, None]:
            _user(accounts, owner, key.user_id)
            if key.id in accounts.keys or key.key_hash in accounts.hashes:
                raise Conflict("This API key exists already; make another.")
            return accounts.with_key(key), None

        await self._file.change(add)

    async def list_keys(self, owner: Owner, user_id: str | None = None) -> list[ApiKey]:
        accounts = await self._file.read()
        if user_id is not None:
            _user(accounts, owner, user_id)
        seen = [
            key
            for key in accounts.keys.values()
            if _may_see(owner, accounts.users[key.user_id]) and user_id in (None, key.user_id)
        ]
        return [self._with_use(key) for key in sorted(seen, key=lambda key: key.created_at, reverse=True)]

    async def remove_key(self, owner: Owner, key_id: str) -> None:
        def remove(accounts: Accounts) -> tuple[Accounts, None]:
            key = accounts.keys.get(key_id)
            if key is None or not _may_see(owner, accounts.users[key.user_id]):
                raise missing("API key")
            keys = [other for other in accounts.keys.values() if other.id != key_id]
            return Accounts.of(accounts.users.values(), keys), None

        await self._file.change(remove)

    async def user_of_key(self, owner: Owner, key_hash: str) -> tuple[User, ApiKey] | None:
        accounts = await self._file.read()
        key = accounts.keys.get(accounts.hashes.get(key_hash, ""))
        if key is None or not is_server(owner) or not hmac.compare_digest(key.key_hash.encode(), key_hash.encode()):
            return None
        user = accounts.users[key.user_id]
        now = time.time()
        if user.disabled or user.tenant != owner.tenant or (key.expires_at is not None and key.expires_at <= now):
            return None
        self._note_use(key, now)
        return user, key

    async def aclose(self) -> None:
        """Write down what uses are not yet noted."""
        if self._noting is not None:
            await self._noting
        if self._uses:
            await self._write_uses()

    def _with_use(self, key: ApiKey) -> ApiKey:
        used = self._uses.get(key.id)
        return key if used is None else replace(key, last_used_at=max(used, key.last_used_at or 0.0))

    def _note_use(self, key: ApiKey, now: float) -> None:
        """Keep the time of use in memory; once a minute at most a task writes it down."""
        self._uses[key.id] = now
        if now - self._uses_noted >= USE_NOTED_EVERY_S and (self._noting is None or self._noting.done()):
            self._uses_noted = now
            self._noting = asyncio.get_running_loop().create_task(self._write_uses())

    async def _write_uses(self) -> None:
        uses = dict(self._uses)

        def note(accounts: Accounts) -> tuple[Accounts, None]:
            used = {
                key_id: replace(accounts.keys[key_id], last_used_at=moment)
                for key_id, moment in uses.items()
                if key_id in accounts.keys and (accounts.keys[key_id].last_used_at or 0.0) < moment
            }
            if not used:
                return accounts, None
            return Accounts.of(accounts.users.values(), {**accounts.keys, **used}.values()), None

        try:
            await self._file.change(note)
        except StorageFailed as error:
            logger.warning("the last use of API keys was not noted: %s", error.message)
            return
        # What was used again meanwhile stays for the next time.
        self._uses = {key_id: moment for key_id, moment in self._uses.items() if uses.get(key_id) != moment}


def _may_see(owner: Owner, user: User) -> bool:
    return owner.tenant == user.tenant and (is_server(owner) or owner.user == user.id)


def _user(accounts: Accounts, owner: Owner, user_id: str) -> User:
    user = accounts.users.get(user_id)
    if user is None or not _may_see(owner, user):
        raise missing("user")
    return user
