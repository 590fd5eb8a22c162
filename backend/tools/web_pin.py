"""Connections that go to addresses checked before, whatever the name in the request resolves to by now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpcore


def pinned_to(addresses: Sequence[str]) -> httpcore.AsyncNetworkBackend:
    """A network backend that connects to the first of these IP addresses that answers; it resolves no name."""
    import httpcore

    class Pinned(httpcore.AsyncNetworkBackend):
        def __init__(self) -> None:
            self._plain = httpcore.AnyIOBackend()

        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            failed: Exception = httpcore.ConnectError("no address")
            share = None if timeout is None else timeout / len(addresses)
            for address in addresses:
                try:
                    return await self._plain.connect_tcp(address, port, share, local_address, socket_options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    failed = error
            raise failed

    return Pinned()
