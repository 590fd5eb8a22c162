"""Responses: their history found, their runs made and kept, looked up again, followed, cancelled, deleted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from backend.models.errors import HearthError, InvalidRequest, NotFound
from backend.models.run import Owner
from backend.storage.stores import Stores
from backend.tasks.answering import Answering, Question
from backend.tasks.background_responses import BackgroundResponses, Job
from backend.tasks.response_history import UNFINISHED, Item, Past, ResponseHistory, turns_in
from backend.tasks.response_runs import FrameLog, Numbered, Render, ResponseRun, replayed
from backend.utils.ids import new_id
from backend.utils.processes import is_there

log = logging.getLogger("hearth.responses")

Frames = AsyncGenerator[list[bytes], None]

ELSEWHERE_SECONDS = 1.0
LOST = "The server stopped while this response was made: ask again."


@dataclass(frozen=True, slots=True)
class Asked:
    """One checked request. `question` has the whole conversation; `render` makes what the caller reads."""

    owner: Owner
    question: Question
    past: Past
    render: Render
    store: bool
    request_id: str
    base_url: str = ""


class Responses:
    """One instance serves the process. An unknown id and a stranger's are the same NotFound."""

    def __init__(self, stores: Stores, answering: Answering, background: BackgroundResponses | None = None) -> None:
        self._stores = stores
        self._answering = answering
        self.background = background or BackgroundResponses()
        self.past = ResponseHistory(stores, self._stored).past
        self._streamed: WeakValueDictionary[tuple[Owner, str], ResponseRun] = WeakValueDictionary()
        """Responses that somebody reads while they are made."""

    async def run(self, asked: Asked) -> ResponseRun:
        """A run that is iterated by the caller; nothing has happened yet. Raises what Answering.prepare raises."""
        run = await self._made(asked, new_id("resp_"), time.time(), FrameLog(), background=False)
        if asked.store:
            self._streamed[asked.owner, run.id] = run
        return run

    async def start(self, asked: Asked) -> tuple[dict[str, Any], FrameLog]:
        """Begin a run that nobody needs to wait for: the Response object (`queued`), and what can be followed.

        Raises what Answering.prepare raises, TooManyRequests, StorageFailed.
        """
        response_id, created_at, frames = new_id("resp_"), time.time(), FrameLog()

        async def make() -> ResponseRun:
            return await self._made(asked, response_id, created_at, frames, background=True)

        self.background.reserve(asked.owner)
        started = False
        try:
            job = Job(asked.owner, await make(), make)
            first = job.response
            await self._stores.responses.save(
                asked.owner, {**job.run.about, "response": first, "writer": self.background.mark}
            )
            self.background.start(job)
            started = True
        finally:
            if not started:
                self.background.release(asked.owner)
        return first, frames

    async def get(self, owner: Owner, response_id: str) -> dict[str, Any]:
        """The Response object, as far as it has come. Raises NotFound."""
        job = self.background.get(owner, response_id)
        if job is not None:
            return job.response
        found: dict[str, Any] = (await self._stored(owner, response_id))["response"]
        return found

    async def input_items(self, owner: Owner, response_id: str) -> list[Item]:
        """The items of the request itself, oldest first. Raises NotFound."""
        found: list[Item] = (await self._stored(owner, response_id))["input"]
        return found

    async def events(self, owner: Owner, response_id: str, after: int = -1) -> Frames:
        """Frames with a sequence number above `after`: those there are, then those to come, until it is over.

        Raises NotFound; InvalidRequest when no events of it were kept.
        """
        job = self.background.get(owner, response_id)
        if job is not None:
            return job.run.log.follow(after)
        run = self._live(owner, response_id)
        if run is not None:
            return run.log.follow(after)
        record = await self._stored(owner, response_id)
        if record["response"].get("status") in UNFINISHED:
            return self._elsewhere(owner, response_id, after)
        return replayed(await self._events(owner, response_id), after)

    async def cancel(self, owner: Owner, response_id: str) -> dict[str, Any]:
        """Stop a background response; the Response object then. One that is cancelled already is given as it is.

        Raises NotFound; InvalidRequest when it is not a background response, or over.
        """
        job = self.background.get(owner, response_id)
        if job is not None:
            await self.background.cancel(job)
            return job.response
        record = await self._stored(owner, response_id)
        if not record.get("background"):
            raise InvalidRequest(
                "Only a background response can be cancelled: this one ends when its request does.",
                param="response_id",
                code="not_cancellable",
            )
        status = record["response"].get("status")
        if status == "cancelled":
            found: dict[str, Any] = record["response"]
            return found
        if status in UNFINISHED:
            raise InvalidRequest(
                "This response is made by another process of the server: cancel it there.",
                param="response_id",
                code="not_cancellable",
            )
        raise InvalidRequest(
            f"This response is over already: it is {status}.", param="response_id", code="not_cancellable"
        )

    async def delete(self, owner: Owner, response_id: str) -> None:
        """Remove it with all that was kept. Raises NotFound.

        A background response that is still made is stopped first; one that somebody reads goes on, and is not stored.
        """
        job = self.background.get(owner, response_id)
        if job is not None:
            await self.background.cancel(job)
        run = self._live(owner, response_id)
        if run is not None and run.final is None:
            run.forgotten = True
            del self._streamed[owner, response_id]
            return
        if run is not None:
            await run.stored.wait()
        await self._stores.responses.delete(owner, response_id)

    def forget_session(self, owner: Owner, session_id: str) -> None:
        """A session is deleted: what is just being said in it is not to be stored when it is over."""
        for key, run in list(self._streamed.items()):
            if key[0] == owner and run.context.session_id == session_id:
                run.forgotten = True
                del self._streamed[key]

    async def aclose(self) -> None:
        """End the background responses; each is stored as failed."""
        await self.background.aclose()

    # ---- making and keeping --------------------------------------------------------------------

    async def _made(
        self, asked: Asked, response_id: str, created_at: float, frames: FrameLog, *, background: bool
    ) -> ResponseRun:
        answer = await self._answering.prepare(asked.owner, _in_session(asked), asked.request_id, asked.base_url)
        renderer = asked.render(response_id, answer.context, answer.model, int(created_at))
        run = ResponseRun(response_id, answer.context, renderer, answer.events, log=frames)
        run.about = self._record(asked, run, created_at, background=background)

        async def keep(response: dict[str, Any], events: Sequence[Numbered]) -> None:
            await self._keep(asked, run, response, events)

        if asked.store:
            run.keep = keep
        return run

    def _record(self, asked: Asked, run: ResponseRun, created_at: float, *, background: bool) -> dict[str, Any]:
        return {
            "id": run.id,
            "created_at": created_at,
            "session_id": run.context.session_id,
            "run_id": run.context.run_id,
            "previous_response_id": asked.past.previous_response_id,
            "conversation_id": asked.past.conversation_id,
            "background": background,
            "input": asked.past.items,
        }

    async def _keep(self, asked: Asked, run: ResponseRun, response: dict[str, Any], events: Sequence[Numbered]) -> None:
        """Store a response that is over. What goes wrong is logged: the answer itself is good."""
        if run.forgotten:
            return
        responses, record = self._stores.responses, {**run.about, "response": response}
        background = record["background"]
        # Without a stream there is nobody who could have lost its place in the events.
        told = events if background or asked.question.streamed else ()
        try:
            await (responses.update if background else responses.save)(asked.owner, record, told)
        except NotFound:
            log.info("response %s was deleted while it was made", record["id"])
            return
        except HearthError as error:
            log.error("response %s could not be stored: %s", record["id"], error.message)
        conversation_id = asked.past.conversation_id
        if conversation_id is None or response.get("status") == "failed":
            return
        added = [*asked.past.items, *response.get("output", ())]
        try:
            await self._stores.item_conversations.append(asked.owner, conversation_id, added, record["session_id"])
        except NotFound:
            log.info("the conversation of response %s was deleted while it was made", record["id"])
        except HearthError as error:
            log.error("response %s could not be added to its conversation: %s", record["id"], error.message)

    # ---- looking up ----------------------------------------------------------------------------

    def _live(self, owner: Owner, response_id: str) -> ResponseRun | None:
        """A response that somebody reads while it is made."""
        run = self._streamed.get((owner, response_id))
        return run if run is not None and run.told and not run.stored.is_set() else None

    async def _stored(self, owner: Owner, response_id: str) -> dict[str, Any]:
        """A stored response with the status it really has; one that somebody reads, as far as it has come."""
        run = self._live(owner, response_id)
        if run is not None and run.final is None:
            return {**run.about, "response": run.response}
        if run is not None:
            await run.stored.wait()  # milliseconds
        record = await self._stores.responses.get(owner, response_id)
        here = self.background.get(owner, response_id) is not None
        if record["response"].get("status") in UNFINISHED and not here and not self._goes_on(record):
            # Its end is stored before it leaves the register: it may have come between two looks.
            record = await self._stores.responses.get(owner, response_id)
            if record["response"].get("status") in UNFINISHED:
                error = {"code": "server_error", "message": LOST}
                record["response"] = {**record["response"], "status": "failed", "error": error}
        return record

    def _goes_on(self, record: Mapping[str, Any]) -> bool:
        """Whether another process is at it, one that is alive."""
        writer, mine = record.get("writer"), self.background.mark
        return isinstance(writer, Mapping) and writer.get("pid") != mine["pid"] and is_there(writer)

    async def _events(self, owner: Owner, response_id: str) -> list[Numbered]:
        events = await self._stores.responses.events(owner, response_id)
        if not events:
            raise InvalidRequest(
                "This response has no events to replay: only streamed and background responses keep them.",
                param="stream",
                code="no_events",
            )
        return events

    async def _elsewhere(self, owner: Owner, response_id: str, after: int) -> Frames:
        """The events of a response that another process makes: they can be read when it is over."""
        record = await self._stored(owner, response_id)
        while record["response"].get("status") in UNFINISHED:
            yield []
            await asyncio.sleep(ELSEWHERE_SECONDS)
            record = await self._stored(owner, response_id)
        async for batch in replayed(await self._events(owner, response_id), after):
            yield batch


def _in_session(asked: Asked) -> Question:
    """The question, going on in the session that holds what came before."""
    question = replace(asked.question, store=asked.store)
    if asked.past.session_id is None:
        return question
    known = max(0, len(question.messages) - turns_in(asked.past.items))
    return replace(question, session_id=asked.past.session_id, session_holds=known)
