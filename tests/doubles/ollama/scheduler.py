"""Loading, reloading, expiring and queueing of models, with counters for the tests."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.ollama.decoding import ApiError
from tests.doubles.ollama.records import ModelRecord

LOAD_OPTIONS = ("num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "draft_num_predict")
BUSY = "server busy, please try again.  maximum pending requests exceeded"


@dataclass(slots=True)
class Limits:
    """The server's environment: OLLAMA_NUM_PARALLEL, MAX_QUEUE, MAX_LOADED_MODELS, KEEP_ALIVE; and load time."""

    num_parallel: int = 1
    max_queue: int = 512
    max_loaded: int = 3
    keep_alive_s: float = 300.0
    load_seconds: float = 0.0


@dataclass(slots=True)
class Loaded:
    """A model in memory. `key` is what must not change without a reload."""

    record: ModelRecord
    key: str
    num_ctx: int
    slots: asyncio.Semaphore
    keep_alive_s: float
    users: int = 0
    expires_at: float = 0.0
    timer: asyncio.TimerHandle | None = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Lease:
    """The right to run on a loaded model. `load_seconds` is the wait until it was ready, queueing included."""

    loaded: Loaded
    load_seconds: float


class Scheduler:
    def __init__(self) -> None:
        self.limits = Limits()
        self.loaded: dict[str, Loaded] = {}
        self.loads: dict[str, int] = {}
        self.reloads: dict[str, int] = {}
        self.unloads: dict[str, int] = {}
        self.pending = 0
        self.running = 0
        self.max_running = 0
        self.waiting_for_slot = 0
        self._loading = asyncio.Lock()

    def clear(self) -> None:
        """Forget every loaded model and counter; limits return to their defaults."""
        for entry in self.loaded.values():
            if entry.timer is not None:
                entry.timer.cancel()
        self.limits = Limits()
        self.loaded, self.loads, self.reloads, self.unloads = {}, {}, {}, {}
        self.max_running = 0

    @asynccontextmanager
    async def lease(
        self,
        record: ModelRecord,
        options: dict[str, Any],
        num_ctx: int,
        keep_alive_s: float | None,
        *,
        shift: bool = True,
        only_load: bool = False,
    ) -> AsyncIterator[Lease]:
        """Load when needed, wait for a slot, and count the use. Raises ApiError 503 (queue full) or 500 (load)."""
        began = time.monotonic()
        load_options = {name: options.get(name) for name in LOAD_OPTIONS}
        key = json.dumps([num_ctx, shift, load_options], sort_keys=True)
        entry = await self._ready(record, key, num_ctx)
        entry.keep_alive_s = self.limits.keep_alive_s if keep_alive_s is None else keep_alive_s
        self._renew(entry)
        load_seconds = time.monotonic() - began
        try:
            if only_load:
                yield Lease(entry, load_seconds)
                return
            self.waiting_for_slot += 1
            try:
                await entry.slots.acquire()
            finally:
                self.waiting_for_slot -= 1
            self.running += 1
            self.max_running = max(self.max_running, self.running)
            try:
                yield Lease(entry, load_seconds)
            finally:
                self.running -= 1
                entry.slots.release()
        finally:
            self._leave(entry)

    async def _ready(self, record: ModelRecord, key: str, num_ctx: int) -> Loaded:
        """The loaded model, its user count already raised."""
        entry = self.loaded.get(record.full_name)
        if entry is not None and entry.key == key:
            return self._enter(entry)
        if self._loading.locked() and self.pending >= self.limits.max_queue:
            raise ApiError(503, BUSY)
        self.pending += 1
        try:
            await self._loading.acquire()
        finally:
            self.pending -= 1
        try:
            entry = self.loaded.get(record.full_name)
            if entry is None or entry.key != key:
                entry = await self._load(record, key, num_ctx)
            return self._enter(entry)
        finally:
            self._loading.release()

    async def _load(self, record: ModelRecord, key: str, num_ctx: int) -> Loaded:
        name = record.full_name
        current = self.loaded.get(name)
        if current is not None:
            await current.idle.wait()
            # It may have expired during the wait; only a model still in memory is reloaded.
            if self.loaded.get(name) is current:
                self._drop(current)
            self.reloads[record.name] = self.reloads.get(record.name, 0) + 1
        while len(self.loaded) >= self.limits.max_loaded:
            await self._evict_one()
        seconds = self.limits.load_seconds if record.load_seconds is None else record.load_seconds
        if seconds:
            await asyncio.sleep(seconds)
        if record.load_error:
            raise ApiError(500, record.load_error)
        self.loads[record.name] = self.loads.get(record.name, 0) + 1
        parallel = self.limits.num_parallel if record.can("completion") else 1
        entry = Loaded(record, key, num_ctx, asyncio.Semaphore(parallel), self.limits.keep_alive_s)
        entry.idle.set()
        self.loaded[name] = entry
        return entry

    async def _evict_one(self) -> None:
        entries = sorted(self.loaded.values(), key=lambda entry: entry.expires_at)
        idle = next((entry for entry in entries if entry.users == 0), None)
        if idle is None:
            waits = [asyncio.ensure_future(entry.idle.wait()) for entry in entries]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            return
        self._drop(idle)

    def unload(self, record: ModelRecord) -> None:
        """At once when idle, else as soon as it is."""
        entry = self.loaded.get(record.full_name)
        if entry is None:
            return
        entry.keep_alive_s = 0
        if entry.users == 0:
            self._drop(entry)

    def _enter(self, entry: Loaded) -> Loaded:
        entry.users += 1
        entry.idle.clear()
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        return entry

    def _renew(self, entry: Loaded) -> None:
        entry.expires_at = time.time() + entry.keep_alive_s

    def _leave(self, entry: Loaded) -> None:
        entry.users -= 1
        if entry.users:
            return
        entry.idle.set()
        self._renew(entry)
        if self.loaded.get(entry.record.full_name) is not entry:
            return
        if entry.keep_alive_s <= 0:
            self._drop(entry)
        elif entry.keep_alive_s < 86400 * 30:
            entry.timer = asyncio.get_running_loop().call_later(entry.keep_alive_s, self._expire, entry)

    def _expire(self, entry: Loaded) -> None:
        if entry.users == 0 and self.loaded.get(entry.record.full_name) is entry:
            self._drop(entry)

    def _drop(self, entry: Loaded) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        self.loaded.pop(entry.record.full_name, None)
        self.unloads[entry.record.name] = self.unloads.get(entry.record.name, 0) + 1
