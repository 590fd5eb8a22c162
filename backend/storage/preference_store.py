"""Port for what a user has chosen: which tools may not run, and the like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from backend.models.run import Owner


@dataclass(frozen=True, slots=True)
class Preferences:
    """One user's choices. `disabled_tools` are names; a tool that is new to the server is on."""

    disabled_tools: frozenset[str] = frozenset()


class PreferenceStore(Protocol):
    """The choices of one owner; those who never chose have the defaults."""

    async def get(self, owner: Owner) -> Preferences: ...

    async def put(self, owner: Owner, preferences: Preferences) -> None: ...
