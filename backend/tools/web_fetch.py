"""Reading a page from an address that a user or a model wrote, without being led into private networks.

A name is resolved once, every address it has is checked, and the connection goes to a checked address: what the name
resolves to a moment later does not matter. Redirects are followed by hand with the same check each. Nothing of the
environment (proxies, netrc) is used and no cookie is kept.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import zlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.models.errors import InvalidRequest, ServiceFailed
from backend.tools.service_client import user_agent
from backend.tools.web_address import NOT_PUBLIC, PORTS, WebAddress, is_home_name, is_ip, is_public, read_address

if TYPE_CHECKING:
    import httpcore

log = logging.getLogger("hearth.web")

MAX_BYTES = 2 * 1_048_576
"""Of a page, before and after decompression."""
MAX_REDIRECTS = 3
SECONDS = 10.0
"""For everything: names, redirects, the whole body."""
ADDRESSES_TRIED = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/xhtml+xml", "application/javascript"})
_ACCEPT = "text/html,application/xhtml+xml,text/plain,application/json,application/xml;q=0.9,text/*;q=0.8"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a host name, as text. Raises OSError when there are none."""


@dataclass(frozen=True, slots=True)
class WebPage:
    """What an address answered. `url` is where the redirects ended; `content_type` lower case without parameters."""

    url: str
    content_type: str
    charset: str
    """As the server named it; empty when it did not."""
    body: bytes


async def resolve(host: str, port: int) -> Sequence[str]:
    """By the system's resolver, in a thread."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class WebFetcher:
    """Reads public pages. `allowed` are hosts (`wiki.corp`) or hosts with port (`wiki.corp:8080`) that the operator
    trusts wherever they lead; a host without port is reached on 80 and 443.
    """

    def __init__(
        self,
        allowed: Iterable[str] = (),
        *,
        contact: str = "",
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._allowed = frozenset(each.lower() for each in allowed)
        self._contact = contact
        self._resolver = resolver
        self._tls = tls
        self._seconds = seconds

    async def fetch(self, url: str) -> WebPage:
        """The page at an address.

        Raises:
            InvalidRequest: the address may not be read, or what it answers is no text.
            ServiceFailed: it cannot be reached, is too slow, too large, or answers with an error.
        """
        address = read_address(url)
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(MAX_REDIRECTS + 1):
                    answer = await self._visit(address)
                    if isinstance(answer, WebPage):
                        return answer
                    address = address.joined(answer)
        except TimeoutError:
            raise ServiceFailed(
                f"{address.host} did not send the page within {self._seconds:g} seconds: try again later."
            ) from None
        raise ServiceFailed(f"The page sends its readers on more than {MAX_REDIRECTS} times.")

    # ---- where it leads -------------------------------------------------------------------------

    async def _checked(self, address: WebAddress) -> Sequence[str]:
        """The IP addresses to connect to, all of them checked. Raises InvalidRequest, ServiceFailed."""
        trusted = self._is_allowed(address)
        if not trusted and address.port not in PORTS.values():
            raise InvalidRequest(f"Pages are read on the ports 80 and 443 only, not on {address.port}.")
        if not trusted and is_home_name(address.host):
            raise InvalidRequest(NOT_PUBLIC)
        found: Sequence[str] = [address.host]
        if not is_ip(address.host):
            try:
                found = list(dict.fromkeys(await self._resolver(address.host, address.port)))
            except (OSError, UnicodeError):
                found = ()
        if not found:
            raise ServiceFailed(f"No server named {address.host} is known: check the spelling.")
        if not trusted and not all(is_public(each) for each in found):
            log.warning("refused to read %s: it leads to %s", address.host, ", ".join(found)[:200])
            raise InvalidRequest(NOT_PUBLIC)
        return found

    def _is_allowed(self, address: WebAddress) -> bool:
        host = address.shown_host
        return f"{host}:{address.port}" in self._allowed or (host in self._allowed and address.port in PORTS.values())

    # ---- one request ----------------------------------------------------------------------------

    async def _visit(self, address: WebAddress) -> WebPage | str:
        """The page, or where it redirects to."""
        import httpcore

        from backend.tools.web_pin import pinned_to

        found = await self._checked(address)
        where = httpcore.URL(
            scheme=address.scheme.encode(),
            host=address.host.encode(),
            port=address.port,
            target=address.target.encode(),
        )
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._tls_context() if address.scheme == "https" else None,
            network_backend=pinned_to(found[:ADDRESSES_TRIED]),
            max_connections=1,
            http2=False,
            retries=0,
        )
        waits = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        try:
            async with (
                pool,
                pool.stream("GET", where, headers=self._headers(address), extensions={"timeout": waits}) as answer,
            ):
                return await _read(address, answer)
        except httpcore.TimeoutException:
            raise TimeoutError from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            log.info("%s: %r", address.host, error)
            raise ServiceFailed(f"{address.host} cannot be reached or broke off: check the address.") from None

    def _headers(self, address: WebAddress) -> list[tuple[bytes, bytes]]:
        sent = {
            "Host": address.authority,
            "User-Agent": user_agent(self._contact),
            "Accept": _ACCEPT,
            "Accept-Encoding": "gzip, deflate",
            "Connection": "close",
        }
        return [(name.encode(), value.encode()) for name, value in sent.items()]

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            import certifi

            self._tls = ssl.create_default_context()
            self._tls.load_verify_locations(certifi.where())
        return self._tls


async def _read(address: WebAddress, answer: httpcore.Response) -> WebPage | str:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    if answer.status in _REDIRECTS and headers.get("location"):
        return _as_text(headers["location"])
    if answer.status != 200:
        raise _refused(address.host, answer.status)
    content_type, charset = _type_of(headers.get("content-type", ""))
    if not (content_type.startswith("text/") or content_type in _TEXT_TYPES or _is_structured(content_type)):
        kind = content_type[:60] if content_type.isascii() and content_type.isprintable() else ""
        raise InvalidRequest(f"{address.host} sent {kind or 'something without a type'}: only text can be read.")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:18]) > MAX_BYTES:
        raise _too_large(address.host)
    body = await _unpacked(address.host, headers.get("content-encoding", ""), answer.aiter_stream())
    return WebPage(address.url, content_type, charset, body)


async def _unpacked(host: str, encoding: str, parts: AsyncIterable[bytes]) -> bytes:
    """The body, decompressed at most as far as it may be long."""
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise ServiceFailed(f"{host} sent the page in a packing that was not asked for.")
    packed = encoding not in ("", "identity")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed else None
    body, received = bytearray(), 0
    async for part in parts:
        received += len(part)
        try:
            body += unpacker.decompress(part, MAX_BYTES + 1 - len(body)) if unpacker else part
        except zlib.error:
            raise ServiceFailed(f"{host} sent a page that cannot be unpacked.") from None
        if max(received, len(body)) > MAX_BYTES:
            raise _too_large(host)
    return bytes(body)


def _type_of(header: str) -> tuple[str, str]:
    """Content type and charset in lower case."""
    content_type, *parameters = (part.strip() for part in header.lower().split(";"))
    named = (part.partition("=") for part in parameters)
    charset = next((value.strip(" \"'") for name, _, value in named if name.strip() == "charset"), "")
    return content_type, charset[:40]


def _is_structured(content_type: str) -> bool:
    return content_type.startswith("application/") and content_type.endswith(("+json", "+xml"))


def _as_text(header: str) -> str:
    """A header as the UTF-8 that browsers take it for, where it is."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return header


def _too_large(host: str) -> ServiceFailed:
    return ServiceFailed(f"{host} sent more than {MAX_BYTES // 1_048_576} MB: the page is too large to read.")


def _refused(host: str, status: int) -> ServiceFailed:
    if status in (404, 410):
        return ServiceFailed(f"{host} has no page at this address ({status}).")
    if status in (401, 403, 407, 451):
        return ServiceFailed(f"{host} does not show this page without signing in ({status}).")
    if status == 429:
        return ServiceFailed(f"{host} allows no more requests for now: try again later.")
    return ServiceFailed(f"{host} answered with an error ({status}): try again later.")
