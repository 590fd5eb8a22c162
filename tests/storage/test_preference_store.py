from __future__ import annotations

from pathlib import Path

from backend.storage.preference_store import Preferences
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, BOB


async def test_choices_come_back_to_whoever_made_them(stores: Stores) -> None:
    await stores.preferences.put(ALICE, Preferences(frozenset({"web_search"})))
    assert (await stores.preferences.get(ALICE)).disabled_tools == {"web_search"}
    assert await stores.preferences.get(BOB) == Preferences()
    await stores.preferences.put(ALICE, Preferences())
    assert await stores.preferences.get(ALICE) == Preferences()


async def test_damaged_choices_are_set_aside_and_the_defaults_hold(engine: Stores, data_dir: Path) -> None:
    await engine.preferences.put(ALICE, Preferences(frozenset({"weather"})))
    for bad in (b"{", b'{"disabled_tools": [1]}', b"[]"):
        (data_dir / "preferences" / ALICE.user / "preferences.json").write_bytes(bad)
        assert await engine.preferences.get(ALICE) == Preferences()
    assert len(engine.damaged()) == 3
