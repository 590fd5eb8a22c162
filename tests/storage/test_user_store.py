from __future__ import annotations

import asyncio
import time

import pytest

from backend.models.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from backend.models.run import SERVER, Owner
from backend.storage.stores import Stores
from backend.utils.auth import hash_key
from tests.storage.samples import api_key


async def test_added_user_is_found_by_name_and_by_id(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "admin")
    assert await stores.users.find_user(SERVER, "alice") == user
    assert await stores.users.get_user(SERVER, user.id) == user
    assert user.role == "admin" and not user.disabled and user.owner == Owner("default", user.id)


async def test_auth_10_names_are_folded_and_unique_after_folding(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "Alice.Smith", "hash", "user")
    assert user.username == "alice.smith"
    assert await stores.users.find_user(SERVER, "ALICE.smith") == user
    with pytest.raises(Conflict):
        await stores.users.add_user(SERVER, "aLICE.SMITH", "hash", "user")


@pytest.mark.parametrize(
    "name",
    ["", "ab", "a" * 65, "al ice", "al/ice", "../etc", "alice\x00", "álice", "al:ice", "server", "System", "anonymous"],
)
async def test_auth_10_bad_and_reserved_names_are_refused(stores: Stores, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await stores.users.add_user(SERVER, name, "hash", "user")
    assert await stores.users.list_users(SERVER) == []


async def test_admin_is_an_allowed_name(stores: Stores) -> None:
    assert (await stores.users.add_user(SERVER, "admin", "hash", "admin")).username == "admin"


async def test_users_are_listed_by_name(stores: Stores) -> None:
    for name in ("carol", "alice", "bob"):
        await stores.users.add_user(SERVER, name, "hash", "user")
    assert [user.username for user in await stores.users.list_users(SERVER)] == ["alice", "bob", "carol"]


async def test_update_changes_only_what_is_given(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    changed = await stores.users.update_user(SERVER, user.id, disabled=True, tokens_valid_from=12.5)
    assert (changed.disabled, changed.tokens_valid_from, changed.password_hash) == (True, 12.5, "hash")
    assert await stores.users.get_user(SERVER, user.id) == changed
    enabled = await stores.users.update_user(SERVER, user.id, disabled=False)
    assert not enabled.disabled and enabled.tokens_valid_from == 12.5


async def test_unknown_user_is_not_found(stores: Stores) -> None:
    with pytest.raises(NotFound):
        await stores.users.get_user(SERVER, "user-unknown")
    with pytest.raises(NotFound):
        await stores.users.update_user(SERVER, "user-unknown", disabled=True)
    with pytest.raises(NotFound):
        await stores.users.remove_user(SERVER, "user-unknown")
    assert await stores.users.find_user(SERVER, "nobody-here") is None


async def test_removing_a_user_removes_the_keys(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    await stores.users.add_key(SERVER, api_key(user.id))
    await stores.users.remove_user(SERVER, user.id)
    assert await stores.users.user_of_key(SERVER, hash_key("sk-abc")) is None
    assert await stores.users.list_keys(SERVER) == []
    again = await stores.users.add_user(SERVER, "alice", "hash", "user")
    assert again.id != user.id


async def test_auth_6_key_leads_to_its_user_and_notes_the_use(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    key = api_key(user.id)
    await stores.users.add_key(SERVER, key)
    before = time.time()
    found = await stores.users.user_of_key(SERVER, hash_key("sk-abc"))
    assert found is not None and found[0] == user and found[1].id == key.id
    (listed,) = await stores.users.list_keys(SERVER, user.id)
    assert listed.last_used_at is not None and listed.last_used_at >= before


async def test_auth_6_unknown_expired_and_disabled_keys_lead_nowhere(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    await stores.users.add_key(SERVER, api_key(user.id, "sk-good"))
    await stores.users.add_key(SERVER, api_key(user.id, "sk-old", expires_at=time.time() - 1))
    assert await stores.users.user_of_key(SERVER, hash_key("sk-other")) is None
    assert await stores.users.user_of_key(SERVER, hash_key("sk-old")) is None
    assert await stores.users.user_of_key(SERVER, "") is None
    assert await stores.users.user_of_key(SERVER, "\ud800") is None
    await stores.users.update_user(SERVER, user.id, disabled=True)
    assert await stores.users.user_of_key(SERVER, hash_key("sk-good")) is None


async def test_auth_4_removed_key_stops_working_at_once(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    key = api_key(user.id)
    await stores.users.add_key(SERVER, key)
    assert await stores.users.user_of_key(SERVER, key.key_hash) is not None
    await stores.users.remove_key(SERVER, key.id)
    assert await stores.users.user_of_key(SERVER, key.key_hash) is None
    with pytest.raises(NotFound):
        await stores.users.remove_key(SERVER, key.id)


async def test_same_key_twice_is_a_conflict(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    await stores.users.add_key(SERVER, api_key(user.id))
    with pytest.raises(Conflict):
        await stores.users.add_key(SERVER, api_key(user.id))


async def test_keys_are_listed_newest_first(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    for text in ("sk-1", "sk-2", "sk-3"):
        await stores.users.add_key(SERVER, api_key(user.id, text))
        await asyncio.sleep(0.002)
    listed = [key.key_hash for key in await stores.users.list_keys(user.owner)]
    assert listed == [hash_key(text) for text in ("sk-3", "sk-2", "sk-1")]


async def test_twenty_simultaneous_additions_of_one_name_give_one_user(stores: Stores) -> None:
    results = await asyncio.gather(
        *(stores.users.add_user(SERVER, "alice", "hash", "user") for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 19
    assert len(await stores.users.list_users(SERVER)) == 1


async def test_iso_1_user_sees_and_changes_only_the_own_account(stores: Stores) -> None:
    alice = await stores.users.add_user(SERVER, "alice", "hash", "user")
    bob = await stores.users.add_user(SERVER, "bob", "hash", "user")
    key = api_key(bob.id)
    await stores.users.add_key(SERVER, key)
    assert await stores.users.list_users(alice.owner) == [alice]
    assert await stores.users.find_user(alice.owner, "bob") is None
    assert await stores.users.list_keys(alice.owner) == []
    assert await stores.users.user_of_key(alice.owner, key.key_hash) is None
    for attempt in (
        stores.users.get_user(alice.owner, bob.id),
        stores.users.update_user(alice.owner, bob.id, password_hash="x"),
        stores.users.remove_user(alice.owner, bob.id),
        stores.users.add_key(alice.owner, api_key(bob.id, "sk-x")),
        stores.users.list_keys(alice.owner, bob.id),
        stores.users.remove_key(alice.owner, key.id),
        stores.users.add_user(alice.owner, "carol", "hash", "admin"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await stores.users.get_user(SERVER, bob.id) == bob
    changed = await stores.users.update_user(alice.owner, alice.id, password_hash="new")
    assert changed.password_hash == "new"


async def test_iso_2_foreign_and_missing_user_give_the_same_answer(stores: Stores) -> None:
    alice = await stores.users.add_user(SERVER, "alice", "hash", "user")
    bob = await stores.users.add_user(SERVER, "bob", "hash", "user")
    with pytest.raises(NotFound) as foreign:
        await stores.users.get_user(alice.owner, bob.id)
    with pytest.raises(NotFound) as missing:
        await stores.users.get_user(alice.owner, "user-" + "0" * 32)
    assert vars(foreign.value) == vars(missing.value)


async def test_iso_6_user_cannot_raise_the_own_role(stores: Stores) -> None:
    alice = await stores.users.add_user(SERVER, "alice", "hash", "user")
    with pytest.raises(NotAllowed):
        await stores.users.update_user(alice.owner, alice.id, role="admin")
    assert (await stores.users.get_user(SERVER, alice.id)).role == "user"


async def test_iso_1_accounts_of_another_tenant_are_invisible_to_the_server_of_this_one(stores: Stores) -> None:
    acme = Owner("acme", SERVER.user)
    theirs = await stores.users.add_user(acme, "alice", "hash", "user")
    ours = await stores.users.add_user(SERVER, "alice", "hash", "user")
    await stores.users.add_key(acme, api_key(theirs.id))
    assert await stores.users.list_users(SERVER) == [ours]
    assert await stores.users.find_user(acme, "alice") == theirs
    assert await stores.users.user_of_key(SERVER, hash_key("sk-abc")) is None
    with pytest.raises(NotFound):
        await stores.users.get_user(SERVER, theirs.id)


async def test_iso_2_ids_have_122_random_bits_and_more(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    digits = user.id.removeprefix("user-")
    assert len(digits) == 32 and int(digits, 16) >= 0 and len(set(digits)) > 4
