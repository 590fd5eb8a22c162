"""Revoked access tokens and refresh tokens in `sessions.json`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from backend.models.accounts import RefreshToken
from backend.models.run import Owner
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.paths import is_server, missing
from backend.storage.json_files.shared_json import SharedJson, good_records


@dataclass(frozen=True, slots=True)
class Revocation:
    """A refused access token. One made by the server for itself holds for every owner of the tenant."""

    token_id: str
    tenant: str
    user: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class KeptRefresh:
    """A refresh token and the tenant of its user."""

    tenant: str
    token: RefreshToken


@dataclass(frozen=True, slots=True)
class Sessions:
    """Everything that has not expired; refresh tokens by hash."""

    revoked: Mapping[tuple[str, str], tuple[Revocation, ...]]
    refresh: Mapping[str, KeptRefresh]

    @classmethod
    def of(cls, revoked: Iterable[Revocation], refresh: Iterable[KeptRefresh]) -> Sessions:
        by_token: dict[tuple[str, str], tuple[Revocation, ...]] = {}
        for one in revoked:
            place = (one.tenant, one.token_id)
            by_token[place] = (*by_token.get(place, ()), one)
        return cls(by_token, {kept.token.token_hash: kept for kept in refresh})

    def changed(
        self, revoked: Iterable[Revocation] | None = None, refresh: Iterable[KeptRefresh] | None = None
    ) -> Sessions:
        """A new state with the expired left out. Spent refresh tokens stay until they expire, to notice reuse."""
        now = time.time()
        return Sessions.of(
            (one for one in (self.revocations() if revoked is None else revoked) if one.expires_at > now),
            (kept for kept in (self.refresh.values() if refresh is None else refresh) if kept.token.expires_at > now),
        )

    def revocations(self) -> list[Revocation]:
        return [one for same in self.revoked.values() for one in same]


class SessionsFormat:
    """`{"revoked": […], "refresh": […]}`."""

    def __init__(self) -> None:
        from pydantic import TypeAdapter

        self._revocation: Callable[[Any], Revocation] = TypeAdapter(Revocation).validate_python
        self._refresh: Callable[[Any], KeptRefresh] = TypeAdapter(KeptRefresh).validate_python

    def empty(self) -> Sessions:
        return Sessions.of((), ())

    def to_json(self, state: Sessions) -> dict[str, Any]:
        return {
            "revoked": [asdict(one) for one in state.revocations()],
            "refresh": [asdict(kept) for kept in state.refresh.values()],
        }

    def from_json(self, data: dict[str, Any]) -> tuple[Sessions, int]:
        revoked, bad_revoked = good_records(data.get("revoked"), self._revocation)
        refresh, bad_refresh = good_records(data.get("refresh"), self._refresh)
        return Sessions.of(revoked, refresh), bad_revoked + bad_refresh


class JsonSessionStore:
    """SessionStore over one file. `is_revoked` is answered from memory."""

    def __init__(self, folder: Path, disk: Disk, damages: Damages) -> None:
        self._file: SharedJson[Sessions] = SharedJson(folder / "sessions.json", disk, damages, SessionsFormat())

    async def revoke_token(self, owner: Owner, token_id: str, expires_at: float) -> None:
        revocation = Revocation(token_id, owner.tenant, owner.user, expires_at)
        await self._file.change(
            lambda sessions: (sessions.changed(revoked=[*sessions.revocations(), revocation]), None)
        )

    async def is_revoked(self, owner: Owner, token_id: str) -> bool:
        sessions = await self._file.read()
        found = sessions.revoked.get((owner.tenant, token_id), ())
        return any(is_server(owner) or one.user == owner.user or _by_server(one) for one in found)

    async def add_refresh(self, owner: Owner, token: RefreshToken) -> None:
        if not _is_of(owner, owner.tenant, token):
            raise missing("user")
        kept = KeptRefresh(owner.tenant, token)
        await self._file.change(lambda sessions: (sessions.changed(refresh=[*sessions.refresh.values(), kept]), None))

    async def spend_refresh(self, owner: Owner, token_hash: str) -> RefreshToken | None:
        def spend(sessions: Sessions) -> tuple[Sessions, RefreshToken | None]:
            kept = sessions.refresh.get(token_hash)
            if kept is None or not _is_of(owner, kept.tenant, kept.token) or kept.token.expires_at <= time.time():
                return sessions, None
            if kept.token.spent:
                others = [one for one in sessions.refresh.values() if one.token.family != kept.token.family]
                return sessions.changed(refresh=others), None
            spent = replace(kept.token, spent=True)
            tokens = {**sessions.refresh, token_hash: KeptRefresh(kept.tenant, spent)}
            return sessions.changed(refresh=tokens.values()), spent

        return await self._file.change(spend)

    async def revoke_refresh(self, owner: Owner) -> None:
        def revoke(sessions: Sessions) -> tuple[Sessions, None]:
            others = [
                kept
                for kept in sessions.refresh.values()
                if (kept.tenant, kept.token.user_id) != (owner.tenant, owner.user)
            ]
            return sessions.changed(refresh=others), None

        await self._file.change(revoke)


def _is_of(owner: Owner, tenant: str, token: RefreshToken) -> bool:
    return owner.tenant == tenant and (is_server(owner) or owner.user == token.user_id)


def _by_server(revocation: Revocation) -> bool:
    return is_server(Owner(revocation.tenant, revocation.user))
