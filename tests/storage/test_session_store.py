from __future__ import annotations

import asyncio
import time

import pytest

from backend.models.errors import NotFound
from backend.models.run import SERVER
from backend.storage.stores import Stores
from backend.utils.auth import hash_key
from tests.storage.samples import ALICE, ALICE_ELSEWHERE, BOB, refresh_token


async def test_auth_4_revoked_token_is_refused_from_now_on(stores: Stores) -> None:
    assert not await stores.sessions.is_revoked(ALICE, "jti-1")
    await stores.sessions.revoke_token(ALICE, "jti-1", time.time() + 60)
    assert await stores.sessions.is_revoked(ALICE, "jti-1")
    assert await stores.sessions.is_revoked(SERVER, "jti-1")
    assert not await stores.sessions.is_revoked(ALICE, "jti-2")


async def test_iso_1_revoking_a_strangers_token_does_nothing(stores: Stores) -> None:
    await stores.sessions.revoke_token(BOB, "jti-of-alice", time.time() + 60)
    assert not await stores.sessions.is_revoked(ALICE, "jti-of-alice")
    await stores.sessions.revoke_token(ALICE_ELSEWHERE, "jti-of-alice", time.time() + 60)
    assert not await stores.sessions.is_revoked(ALICE, "jti-of-alice")


async def test_revocation_by_the_server_holds_for_everybody(stores: Stores) -> None:
    await stores.sessions.revoke_token(SERVER, "jti-1", time.time() + 60)
    assert await stores.sessions.is_revoked(ALICE, "jti-1")


async def test_auth_5_refresh_token_is_spent_once(stores: Stores) -> None:
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-1"))
    spent = await stores.sessions.spend_refresh(SERVER, hash_key("rt-1"))
    assert spent is not None and spent.user_id == ALICE.user and spent.family == "login-1"
    assert await stores.sessions.spend_refresh(SERVER, hash_key("rt-1")) is None


async def test_auth_5_reuse_of_a_spent_token_revokes_the_family(stores: Stores) -> None:
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-1"))
    await stores.sessions.spend_refresh(SERVER, hash_key("rt-1"))
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-2"))
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-other", family="login-2"))
    assert await stores.sessions.spend_refresh(SERVER, hash_key("rt-1")) is None
    assert await stores.sessions.spend_refresh(SERVER, hash_key("rt-2")) is None
    assert await stores.sessions.spend_refresh(SERVER, hash_key("rt-other")) is not None


async def test_auth_5_twenty_simultaneous_spendings_succeed_once(stores: Stores) -> None:
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-1"))
    results = await asyncio.gather(*(stores.sessions.spend_refresh(SERVER, hash_key("rt-1")) for _ in range(20)))
    assert sum(result is not None for result in results) == 1


async def test_auth_5_expired_and_unknown_refresh_tokens_are_refused(stores: Stores) -> None:
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-old", seconds=-1))
    assert await stores.sessions.spend_refresh(SERVER, hash_key("rt-old")) is None
    assert await stores.sessions.spend_refresh(SERVER, hash_key("rt-unknown")) is None


async def test_revoking_forgets_every_refresh_token_of_that_user_alone(stores: Stores) -> None:
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-a"))
    await stores.sessions.add_refresh(BOB, refresh_token(BOB.user, "rt-b", family="login-b"))
    await stores.sessions.revoke_refresh(ALICE)
    assert await stores.sessions.spend_refresh(SERVER, hash_key("rt-a")) is None
    assert await stores.sessions.spend_refresh(SERVER, hash_key("rt-b")) is not None


async def test_iso_1_stranger_neither_spends_nor_adds_nor_forgets_a_refresh_token(stores: Stores) -> None:
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-a"))
    for stranger in (BOB, ALICE_ELSEWHERE):
        assert await stores.sessions.spend_refresh(stranger, hash_key("rt-a")) is None
        await stores.sessions.revoke_refresh(stranger)
    with pytest.raises(NotFound):
        await stores.sessions.add_refresh(BOB, refresh_token(ALICE.user, "rt-x"))
    assert await stores.sessions.spend_refresh(ALICE, hash_key("rt-a")) is not None
