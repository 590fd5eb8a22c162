"""Speaking with a server by streamable HTTP, with answers of bounded size."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from backend.tools.mcp_config import ServerEntry
from backend.tools.mcp_stdio import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from httpx2 import AsyncClient

CONNECT_S = 10.0


@contextlib.asynccontextmanager
async def http_streams(entry: ServerEntry) -> AsyncIterator[tuple[Any, Any]]:
    """The streams a session reads from and writes to. Redirects stay on the server's own origin (the library's rule),
    proxies of the environment are ignored."""
    from mcp.client.streamable_http import streamable_http_client

    assert entry.url is not None
    async with (
        bounded_client(entry) as client,
        streamable_http_client(entry.url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as streams,
    ):
        yield streams[0], streams[1]


def bounded_client(entry: ServerEntry) -> AsyncClient:
    """A client that stops reading an answer to a POST beyond MAX_MESSAGE_BYTES (twice that where it is a stream)."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        def __init__(self, inner: Any, most: int) -> None:
            self._inner = inner
            self._left = most

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for part in self._inner:
                self._left -= len(part)
                if self._left < 0:
                    raise httpx2.ReadError("The answer is too large.")
                yield part

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Transport(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: Any) -> Any:
            # Compressed, a small answer could become a large one after it was counted.
            request.headers["accept-encoding"] = "identity"
            response = await super().handle_async_request(request)
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                await response.aclose()
                raise httpx2.ReadError("The answer is compressed although that was not asked for.")
            if request.method == "POST":
                response.stream = Bounded(response.stream, 2 * MAX_MESSAGE_BYTES)
            return response

    timeout = httpx2.Timeout(entry.timeout, connect=min(CONNECT_S, entry.timeout))
    return httpx2.AsyncClient(
        transport=Transport(), headers=dict(entry.headers), timeout=timeout, trust_env=False, follow_redirects=False
    )
