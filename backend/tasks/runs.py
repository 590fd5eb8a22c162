"""A user's runs: listed, shown, watched, cancelled, deleted; whether they go on here, elsewhere, or are over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from backend.models.errors import Conflict, NotFound
from backend.models.run import Owner
from backend.storage.stores import Stores
from backend.tasks.live_runs import CANCELLED, LiveRun, LiveRuns, batches
from backend.tasks.trace import INTERNAL, public
from backend.utils.processes import is_there

Batch = list[tuple[int, bytes]]

STATUSES = ("running", "completed", "cancelled", "failed", "waiting", "interrupted")
INTERRUPTED = "The server stopped while this run was going on: ask again."
ELSEWHERE_SECONDS = 1.0
"""How often a run of another process is looked at."""
CANCEL_SECONDS = 3.0
MANY = 1_000


@dataclass(frozen=True, slots=True)
class Runs:
    """One instance serves the process. An unknown run id and a stranger's are the same NotFound."""

    stores: Stores
    live: LiveRuns

    async def page(
        self, owner: Owner, page: int, limit: int, status: str | None = None, session_id: str | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """Rows, newest first, and the total."""
        listed, alive = self.stores.runs.list_runs, self.live.ids(owner)
        if status not in ("running", "interrupted"):
            rows, total = await listed(owner, page=page, limit=limit, status=status, session_id=session_id)
            return [self._judged_row(owner, row, alive) for row in rows], total
        # Which of the two a run is, is only known by looking; there are never many.
        found, _ = await listed(owner, page=1, limit=MANY, status="running", session_id=session_id)
        rows = [row for row in (self._judged_row(owner, row, alive) for row in found) if row["status"] == status]
        return rows[(page - 1) * limit : page * limit], len(rows)

    async def get(self, owner: Owner, run_id: str) -> dict[str, Any]:
        """The trace; of a run that goes on in this process, as far as it has come. Raises NotFound."""
        run = self._watched(owner, run_id)
        if run is not None and run.snapshot is not None:
            return public(run.snapshot())
        return public(await self._stored(owner, run_id))

    async def events(self, owner: Owner, run_id: str, after: int = 0) -> AsyncGenerator[Batch, None]:
        """Numbered events beyond `after`: those there are, then those to come, until the run is over.

        An empty batch now and then while nothing happens. Raises NotFound, before anything is iterated.
        """
        run = self._watched(owner, run_id)
        if run is not None and run.log is not None:
            return run.log.follow(after)
        return self._replay(owner, run_id, await self._stored(owner, run_id), max(after, 0))

    async def cancel(self, owner: Owner, run_id: str) -> str:
        """Stop a run; its status then, `running` when it has not come to its end within CANCEL_SECONDS.

        Raises NotFound, Conflict when it is over already or belongs to another process.
        """
        run = self.live.get(owner, run_id)
        if run is not None and run.log is not None and run.log.over:
            run = None
        if run is not None and run.interrupt is not None:
            run.interrupt.ring()
            try:
                async with asyncio.timeout(CANCEL_SECONDS):
                    await run.ended.wait()
            except TimeoutError:
                return "running"
            if run.log is None:
                return "cancelled"
        try:
            trace = await self._stored(owner, run_id)
        except NotFound:
            if run is not None:
                return "cancelled"  # it was never stored
            raise
        if trace["status"] == "waiting":
            await self._give_up(owner, trace)
            return "cancelled"
        if trace["status"] == "cancelled" or run is not None:
            return str(trace["status"])
        if trace["status"] == "running":
            raise Conflict("This run is going on in another process of the server: stop its request instead.")
        raise Conflict(f"This run is over already: it is {trace['status']}.")

    async def delete(self, owner: Owner, run_id: str) -> None:
        """Remove a trace with the files the run made. Raises NotFound, Conflict while it is going on."""
        if self._watched(owner, run_id) is not None:
            raise Conflict("This run is going on: cancel it first.")
        await self.stores.runs.delete(owner, run_id)
        await self.stores.artifacts.delete_of_run(owner, run_id)

    def _watched(self, owner: Owner, run_id: str) -> LiveRun | None:
        run = self.live.get(owner, run_id)
        return run if run is not None and run.is_watched else None

    async def _stored(self, owner: Owner, run_id: str) -> dict[str, Any]:
        """A stored trace with the status it really has."""
        trace = await self.stores.runs.get(owner, run_id)
        if trace.get("status") == "running" and not self._goes_on(owner, trace):
            # Its end is stored before it leaves the register: it may have come between the two looks.
            trace = await self.stores.runs.get(owner, run_id)
            if trace.get("status") == "running":
                trace |= {"status": "interrupted", "error": {"message": INTERRUPTED, "code": "interrupted"}}
        return trace

    def _judged_row(self, owner: Owner, row: dict[str, Any], alive: frozenset[str]) -> dict[str, Any]:
        """A row as it is shown. `alive` are the runs that went on here before the rows were read."""
        if row["status"] == "running" and row["run_id"] not in alive and not self._goes_on(owner, row):
            row["status"] = "interrupted"
        return {name: value for name, value in row.items() if name not in INTERNAL}

    def _goes_on(self, owner: Owner, trace: Mapping[str, Any]) -> bool:
        """Whether a run that is stored as running still is: here, or in another process that is alive and in time."""
        if self.live.get(owner, str(trace["run_id"])) is not None:
            return True
        writer, expires_at = trace.get("writer"), trace.get("expires_at")
        if not isinstance(writer, Mapping) or writer.get("server") == self.live.mark["server"]:
            return False
        return is_there(writer) and isinstance(expires_at, int | float) and time.time() < expires_at

    async def _give_up(self, owner: Owner, trace: Mapping[str, Any]) -> None:
        """A run that waits for its caller's tools does not wait any more."""
        events = await self.stores.runs.events(owner, str(trace["run_id"]))
        ended = {
            "type": "finished",
            "n": len(events) + 1,
            "at": round(time.time(), 3),
            "reason": "stop",
            "status": "cancelled",
            "stopped_because": CANCELLED,
            "answer_chars": len(str(trace.get("answer", ""))),
            "seconds": trace.get("seconds"),
            "usage": trace.get("usage"),
        }
        kept = public(trace) | {"status": "cancelled", "stopped_because": CANCELLED}
        await self.stores.runs.update(owner, kept, [*events, orjson.dumps(ended)])

    async def _replay(
        self, owner: Owner, run_id: str, trace: Mapping[str, Any], after: int
    ) -> AsyncGenerator[Batch, None]:
        while trace["status"] == "running":
            yield []
            await asyncio.sleep(ELSEWHERE_SECONDS)
            trace = await self._stored(owner, run_id)
        events = await self.stores.runs.events(owner, run_id)
        if trace["status"] == "interrupted":
            told = {"status": "interrupted", "message": INTERRUPTED, "code": "interrupted"}
            at = trace.get("created_at")
            events.append(orjson.dumps({"type": "failed", "n": len(events) + 1, "at": at, **told}))
        for batch in batches(events, after):
            yield batch
