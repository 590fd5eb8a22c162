"""Lists of items, a page at a time, and streams of frames that were rendered before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend.api.sse import PING, SLOW_READER_SECONDS, unless_gone
from backend.models.errors import HearthError, InvalidRequest

log = logging.getLogger("hearth.stream")

PageLimit = Annotated[int, Query(ge=1, le=100)]
Order = Literal["asc", "desc"]
After = Annotated[str | None, Query(max_length=128)]


def listed(data: Sequence[Mapping[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    """OpenAI's list object."""
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": list(data), "first_id": first, "last_id": last, "has_more": has_more}


def page_of_items(items: Sequence[Mapping[str, Any]], limit: int, order: Order, after: str | None) -> dict[str, Any]:
    """One page of `items`, which come oldest first. Raises InvalidRequest when there is no item `after`."""
    ordered = list(items) if order == "asc" else list(reversed(items))
    start = 0
    if after is not None:
        start = next((n for n, item in enumerate(ordered, 1) if item["id"] == after), 0)
        if not start:
            raise InvalidRequest(
                f"There is no item with the id {after!r} in this list.", param="after", code="invalid_value"
            )
    return listed(ordered[start : start + limit], has_more=start + limit < len(ordered))


class FrameStream(Response):
    """Server-sent events out of batches of frames; an empty batch becomes a ping.

    The work that makes the frames is not this stream's: a reader that leaves, or takes nothing for
    SLOW_READER_SECONDS, ends only the reading.
    """

    def __init__(self, batches: AsyncGenerator[list[bytes], None], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(
            headers={**(headers or {}), "cache-control": "no-cache", "x-accel-buffering": "no"},
            media_type="text/event-stream",
        )
        # A stream has no length; the base class wrote that of its empty body.
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self.batches = batches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await unless_gone(receive, self._write(scope, send))

    async def _write(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self.batches) as batches:
            try:
                async for batch in batches:
                    async with asyncio.timeout(SLOW_READER_SECONDS):
                        await send({"type": "http.response.body", "body": b"".join(batch) or PING, "more_body": True})
            except TimeoutError:
                log.info("reader %s was dropped: it does not read", scope.get("request_id"))
                return
            except HearthError as error:
                # Deleted while it was waited for: there is nothing more to tell.
                log.info("reader %s ends: %s", scope.get("request_id"), error.message)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
