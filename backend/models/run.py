"""Who asks, in which conversation, and how much the run may use."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from backend.models.collections import ANYTHING, SearchLimits

DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose data. `user` is the server-made id of a user, never a name; both parts are safe as folder names."""

    tenant: str
    user: str


SERVER = Owner(DEFAULT_TENANT, "server")
"""The server acting for itself: authentication, the command line, start-up. Never built from a request."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one run may use at most. `seconds` is wall time from the start of the run."""

    iterations: int = 5
    plan_rounds: int = 3
    seconds: float = 300.0
    tool_calls: int = 20
    tokens: int = 100_000

    def lowered(self, wanted: Mapping[str, float | None]) -> Budget:
        """This budget with single limits lowered; what is not named or None stays, and nothing is ever raised."""
        given = {name: value for name, value in wanted.items() if value is not None}
        return Budget(**{f.name: min(getattr(self, f.name), given.get(f.name, float("inf"))) for f in fields(self)})


@dataclass(frozen=True, slots=True)
class RunContext:
    """Everything a run knows about its caller; travels beside the messages, never through the model.

    `deadline` is a `time.monotonic()` value. `documents` are the file names of the caller's ready documents,
    newest first (at most 200), so that routing needs no look-up. `fence` is the unguessable delimiter of this
    run around text that nobody here wrote.
    """

    owner: Owner
    run_id: str
    session_id: str | None
    request_id: str
    budget: Budget = field(default_factory=Budget)
    deadline: float = field(default_factory=lambda: time.monotonic() + 300.0)
    documents: tuple[str, ...] = ()
    base_url: str = ""
    """Scheme and host as the caller sees this server, without a trailing slash."""
    fence: str = ""
    allowed_tools: frozenset[str] | None = None
    """Names of the tools this run may use; None means all there are."""
    confirmed_tools: frozenset[str] = frozenset()
    """Tools whose calls the caller has agreed to, where a tool asks for that."""
    files: frozenset[str] | None = None
    """Ids of the documents this run may search and read; None means all of the caller's."""
    collections: tuple[str, ...] = ()
    """Ids of the caller's collections this run searches; empty means no collection is asked for, see `files`.
    Where both are given, both are searched, and nothing else."""
    checkpoint: Mapping[str, Any] | None = None
    """What an earlier run left in Finished.checkpoint when it stopped for the caller's tools; the results of those
    calls are the tool messages at the end of the conversation. Its key `agent` names the agent that wrote it; an
    agent that never stops so can ignore it."""

    earlier: tuple[str, ...] = ()
    """What the user said in the turns before, newest first and as far as a follow-up may need it."""
    search: SearchLimits = ANYTHING
    """How a search of `collections` is narrowed."""

    def seconds_left(self) -> float:
        """Wall time until the deadline; negative when past."""
        return self.deadline - time.monotonic()
