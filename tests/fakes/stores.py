"""Stores in memory: small honest implementations of every storage port, for tests above the storage room.

`fake_stores(folder)` gives all of them; only document bytes touch the disk (workers need a path), in `folder`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from backend.models.accounts import ApiKey, RefreshToken, User, UserRole
from backend.models.conversations import Conversation, ConversationInfo, StoredMessage
from backend.models.errors import Conflict, NotAllowed, NotFound, TooLarge
from backend.models.messages import Message
from backend.models.run import SERVER, Owner
from backend.storage.artifact_store import MAX_ARTIFACT_BYTES, MAX_OWNER_BYTES, Artifact
from backend.storage.preference_store import Preferences
from backend.storage.run_store import MAX_RUNS, matches, row_of
from backend.storage.stores import Stores
from backend.utils.ids import is_safe_id, new_id
from backend.utils.names import check_username, clean_title, fold_username
from tests.fakes.collections import FakeCollections, FakeUploads
from tests.fakes.completions import FakeCompletions
from tests.fakes.documents import FakeDocuments
from tests.fakes.responses import FakeItemConversations, FakeResponses
from tests.fakes.tables import FakeTables

T = TypeVar("T")


def fake_stores(folder: Path) -> Stores:
    async def aclose() -> None:
        return None

    return Stores(
        users=FakeUsers(),
        sessions=FakeSessions(),
        conversations=FakeConversations(),
        documents=FakeDocuments(folder),
        collections=FakeCollections(),
        uploads=FakeUploads(),
        runs=FakeRuns(),
        completions=FakeCompletions(),
        artifacts=FakeArtifacts(),
        preferences=FakePreferences(),
        tables=FakeTables(folder / "tables"),
        responses=FakeResponses(),
        item_conversations=FakeItemConversations(),
        damaged=list,
        aclose=aclose,
    )


def _missing(what: str) -> NotFound:
    return NotFound(f"There is no {what} with this id.")


def _page(items: Sequence[T], page: int, limit: int) -> list[T]:
    limit = min(max(limit, 1), 1000)
    first = (max(page, 1) - 1) * limit
    return list(items[first : first + limit])


def _is_server(owner: Owner) -> bool:
    return owner.user == SERVER.user


class FakeUsers:
    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.keys: dict[str, ApiKey] = {}

    async def add_user(self, owner: Owner, username: str, password_hash: str, role: UserRole) -> User:
        if not _is_server(owner):
            raise _missing("user")
        name = check_username(username)
        if await self.find_user(owner, name) is not None:
            raise Conflict("This user name is taken; choose another.", param="username")
        user = User(new_id("user-"), name, role, password_hash, time.time(), owner.tenant)
        self.users[user.id] = user
        return user

    async def find_user(self, owner: Owner, username: str) -> User | None:
        name = fold_username(username)
        return next((user for user in await self.list_users(owner) if user.username == name), None)

    async def get_user(self, owner: Owner, user_id: str) -> User:
        user = self.users.get(user_id)
        if user is None or user not in await self.list_users(owner):
            raise _missing("user")
        return user

    async def list_users(self, owner: Owner) -> list[User]:
        seen = [
            u for u in self.users.values() if u.tenant == owner.tenant and (_is_server(owner) or u.id == owner.user)
        ]
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
        user = await self.get_user(owner, user_id)
        if not _is_server(owner) and (role is not None or disabled is not None):
            raise NotAllowed("Only an administrator can change the role of an account or disable it.")
        self.users[user_id] = replace(
            user,
            password_hash=user.password_hash if password_hash is None else password_hash,
            role=user.role if role is None else role,
            disabled=user.disabled if disabled is None else disabled,
            tokens_valid_from=user.tokens_valid_from if tokens_valid_from is None else tokens_valid_from,
        )
        return self.users[user_id]

    async def remove_user(self, owner: Owner, user_id: str) -> None:
        await self.get_user(owner, user_id)
        del self.users[user_id]
        self.keys = {key.id: key for key in self.keys.values() if key.user_id != user_id}

    async def add_key(self, owner: Owner, key: ApiKey) -> None:
        await self.get_user(owner, key.user_id)
        if key.id in self.keys or any(other.key_hash == key.key_hash for other in self.keys.values()):
            raise Conflict("This API key exists already; make another.")
        self.keys[key.id] = key

    async def list_keys(self, owner: Owner, user_id: str | None = None) -> list[ApiKey]:
        if user_id is not None:
            await self.get_user(owner, user_id)
        visible = {user.id for user in await self.list_users(owner)}
        wanted = visible if user_id is None else {user_id}
        seen = [key for key in self.keys.values() if key.user_id in wanted]
        return sorted(seen, key=lambda key: key.created_at, reverse=True)

    async def remove_key(self, owner: Owner, key_id: str) -> None:
        if key_id not in {key.id for key in await self.list_keys(owner)}:
            raise _missing("API key")
        del self.keys[key_id]

    async def user_of_key(self, owner: Owner, key_hash: str) -> tuple[User, ApiKey] | None:
        if not _is_server(owner):
            return None
        key = next((key for key in await self.list_keys(owner) if key.key_hash == key_hash), None)
        if key is None or (key.expires_at is not None and key.expires_at <= time.time()):
            return None
        user = self.users[key.user_id]
        if user.disabled:
            return None
        self.keys[key.id] = replace(key, last_used_at=time.time())
        return user, key


class FakeSessions:
    def __init__(self) -> None:
        self.revoked: set[tuple[Owner, str]] = set()
        self.refresh: dict[str, tuple[str, RefreshToken]] = {}

    async def revoke_token(self, owner: Owner, token_id: str, expires_at: float) -> None:
        if expires_at > time.time():
            self.revoked.add((owner, token_id))

    async def is_revoked(self, owner: Owner, token_id: str) -> bool:
        return any(
            revoked == token_id
            and by.tenant == owner.tenant
            and (_is_server(owner) or _is_server(by) or by.user == owner.user)
            for by, revoked in self.revoked
        )

    async def add_refresh(self, owner: Owner, token: RefreshToken) -> None:
        if not _is_server(owner) and token.user_id != owner.user:
            raise _missing("user")
        self.refresh[token.token_hash] = (owner.tenant, token)

    async def spend_refresh(self, owner: Owner, token_hash: str) -> RefreshToken | None:
        tenant, token = self.refresh.get(token_hash, ("", None))
        if token is None or tenant != owner.tenant or token.expires_at <= time.time():
            return None
        if not _is_server(owner) and token.user_id != owner.user:
            return None
        if token.spent:
            self.refresh = {h: kept for h, kept in self.refresh.items() if kept[1].family != token.family}
            return None
        spent = replace(token, spent=True)
        self.refresh[token_hash] = (tenant, spent)
        return spent

    async def revoke_refresh(self, owner: Owner) -> None:
        self.refresh = {
            token_hash: (tenant, token)
            for token_hash, (tenant, token) in self.refresh.items()
            if Owner(tenant, token.user_id) != owner
        }


class FakeConversations:
    def __init__(self) -> None:
        self.kept: dict[tuple[Owner, str], tuple[ConversationInfo, tuple[StoredMessage, ...]]] = {}

    async def create(
        self, owner: Owner, title: str, session_id: str | None = None, messages: Sequence[StoredMessage] = ()
    ) -> ConversationInfo:
        given = new_id("conv-") if session_id is None else session_id
        if not is_safe_id(given):
            raise _missing("conversation")
        if (owner, given) in self.kept:
            raise Conflict("A conversation with this id exists already.")
        now = time.time()
        info = ConversationInfo(given, clean_title(title), now, now, 0)
        self.kept[owner, given] = (info, ())
        if messages:
            await self.append(owner, given, messages)
        return self.kept[owner, given][0]

    async def append(self, owner: Owner, session_id: str, messages: Sequence[StoredMessage]) -> None:
        info, before = self._find(owner, session_id)
        after = (*before, *messages)
        updated = max([info.updated_at, *(message.timestamp for message in messages)])
        self.kept[owner, session_id] = (replace(info, updated_at=updated, messages=len(after)), after)

    async def get(self, owner: Owner, session_id: str) -> Conversation:
        return Conversation(*self._find(owner, session_id))

    async def info(self, owner: Owner, session_id: str) -> ConversationInfo:
        return self._find(owner, session_id)[0]

    async def tail(self, owner: Owner, session_id: str, limit: int) -> list[StoredMessage]:
        messages = self._find(owner, session_id)[1]
        return list(messages[-limit:]) if limit > 0 else []

    async def list_conversations(
        self, owner: Owner, *, page: int = 1, limit: int = 50, query: str | None = None
    ) -> tuple[list[ConversationInfo], int]:
        needle = (query or "").strip().casefold()
        found = [
            info
            for (whose, _), (info, messages) in self.kept.items()
            if whose == owner and any(needle in text.casefold() for text in [info.title, *_said(messages)])
        ]
        found.sort(key=lambda info: (info.updated_at, info.created_at), reverse=True)
        return _page(found, page, limit), len(found)

    async def rename(self, owner: Owner, session_id: str, title: str) -> ConversationInfo:
        info, messages = self._find(owner, session_id)
        renamed = replace(info, title=clean_title(title))
        self.kept[owner, session_id] = (renamed, messages)
        return renamed

    async def choose(self, owner: Owner, session_id: str, collections: Sequence[str]) -> ConversationInfo:
        info, messages = self._find(owner, session_id)
        chosen = replace(info, collections=tuple(collections))
        self.kept[owner, session_id] = (chosen, messages)
        return chosen

    async def delete(self, owner: Owner, session_id: str) -> None:
        self._find(owner, session_id)
        del self.kept[owner, session_id]

    async def find_by_history(self, owner: Owner, history: Sequence[Message]) -> str | None:
        wanted = _turns(history)
        same = [i for (whose, _), (i, messages) in self.kept.items() if whose == owner and _turns(messages) == wanted]
        newest = max(same, key=lambda info: info.updated_at, default=None)
        return newest.session_id if newest is not None and wanted else None

    def _find(self, owner: Owner, session_id: str) -> tuple[ConversationInfo, tuple[StoredMessage, ...]]:
        if (owner, session_id) not in self.kept:
            raise _missing("conversation")
        return self.kept[owner, session_id]


def _said(messages: Iterable[StoredMessage]) -> list[str]:
    return [message.content for message in messages if message.role in ("user", "assistant")]


def _turns(messages: Iterable[StoredMessage | Message]) -> list[tuple[str, str]]:
    texts = [(message.role, message.content.strip()) for message in messages]
    return [(role, text) for role, text in texts if role == "user" or (role == "assistant" and text)]


class FakeRuns:
    def __init__(self) -> None:
        self.kept: dict[tuple[Owner, str], tuple[dict[str, Any], list[bytes]]] = {}

    async def save(self, owner: Owner, trace: Mapping[str, Any], events: Sequence[bytes] = ()) -> None:
        if not is_safe_id(str(trace["run_id"])):
            raise _missing("run")
        self.kept[owner, trace["run_id"]] = (deepcopy(dict(trace)), list(events))
        for old in self._newest(owner)[MAX_RUNS:]:
            del self.kept[owner, old["run_id"]]

    async def update(self, owner: Owner, trace: Mapping[str, Any], events: Sequence[bytes] = ()) -> None:
        await self.get(owner, trace["run_id"])
        await self.save(owner, trace, events)

    async def get(self, owner: Owner, run_id: str) -> dict[str, Any]:
        if (owner, run_id) not in self.kept:
            raise _missing("run")
        return deepcopy(self.kept[owner, run_id][0])

    async def events(self, owner: Owner, run_id: str) -> list[bytes]:
        await self.get(owner, run_id)
        return list(self.kept[owner, run_id][1])

    async def delete(self, owner: Owner, run_id: str) -> None:
        await self.get(owner, run_id)
        del self.kept[owner, run_id]

    async def delete_of_session(self, owner: Owner, session_id: str) -> list[str]:
        gone = [trace["run_id"] for trace in self._newest(owner) if trace.get("session_id") == session_id]
        for run_id in gone:
            del self.kept[owner, run_id]
        return gone

    async def list_runs(
        self, owner: Owner, *, page: int = 1, limit: int = 50, status: str | None = None, session_id: str | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        rows = [row for trace in self._newest(owner) if matches(row := row_of(trace), status, session_id)]
        return _page(rows, page, limit), len(rows)

    def _newest(self, owner: Owner) -> list[dict[str, Any]]:
        mine = [trace for (whose, _), (trace, _) in self.kept.items() if whose == owner]
        return sorted(mine, key=lambda trace: trace.get("created_at", 0), reverse=True)


class FakeArtifacts:
    def __init__(self) -> None:
        self.kept: dict[tuple[Owner, str], tuple[Artifact, bytes]] = {}

    async def save(self, owner: Owner, run_id: str, name: str, content_type: str, data: bytes) -> Artifact:
        if len(data) > MAX_ARTIFACT_BYTES:
            raise TooLarge("The file is too large and was not kept: make it smaller.")
        made = Artifact(new_id(), run_id, name[:200], content_type, len(data), time.time())
        self.kept[owner, made.id] = (made, data)
        mine = [each for (whose, _), (each, _) in self.kept.items() if whose == owner]
        while sum(each.size for each in mine) > MAX_OWNER_BYTES:
            del self.kept[owner, mine.pop(0).id]
        return made

    async def get(self, owner: Owner, artifact_id: str) -> tuple[Artifact, bytes]:
        if (owner, artifact_id) not in self.kept:
            raise _missing("file")
        return self.kept[owner, artifact_id]

    async def delete_of_run(self, owner: Owner, run_id: str) -> int:
        mine = [key for key, (each, _) in self.kept.items() if key[0] == owner and each.run_id == run_id]
        for key in mine:
            del self.kept[key]
        return len(mine)


class FakePreferences:
    def __init__(self) -> None:
        self.kept: dict[Owner, Preferences] = {}

    async def get(self, owner: Owner) -> Preferences:
        return self.kept.get(owner, Preferences())

    async def put(self, owner: Owner, preferences: Preferences) -> None:
        self.kept[owner] = preferences
