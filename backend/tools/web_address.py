"""Addresses that a user or a model wrote: read strictly, spelled in one way, and judged by where they lead."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from backend.models.errors import InvalidRequest

MAX_URL_CHARS = 2_000
PORTS = {"http": 80, "https": 443}
NOT_PUBLIC = (
    "The address leads to this machine or into a private network, where nothing is read: give the address of a public "
    "page, or ask the administrator to allow the host."
)
_SHAPE = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?:#.*)?", re.IGNORECASE)
_BARE_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}(?:[/?#].*)?", re.IGNORECASE)
_SIX = re.compile(r"\[(?P<host>[0-9a-f:.]{2,45})\](?::(?P<port>[0-9]{0,5}))?", re.IGNORECASE)
_NAMED = re.compile(r"(?P<host>[^:\[\]%\s]{1,253})(?::(?P<port>[0-9]{0,5}))?")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_HOME_NAMES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa")
_SAFE = "/?:@!$&'()*+,;=%~-._[]|"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_CLOSED = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "::/8", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7",
        "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
"""The registries' special-purpose blocks; `ipaddress` of an older Python does not know all of them."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """One http(s) address in its one spelling. `host` is an ASCII name, or an IP address without brackets."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, percent-encoded; starts with a slash."""

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port: as in a Host header."""
        return self.shown_host if self.port == PORTS[self.scheme] else f"{self.shown_host}:{self.port}"

    @property
    def shown_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def joined(self, location: str) -> WebAddress:
        """Where a redirect from here leads. Raises InvalidRequest like `read_address`."""
        try:
            return read_address(urljoin(self.url, location.strip()))
        except ValueError:
            raise InvalidRequest("The page sends its readers on to something that is no address.") from None


def read_address(text: str) -> WebAddress:
    """The address in a text; a bare `example.org/page` counts as https.

    Raises InvalidRequest with a sentence: another scheme, credentials, spaces, backslashes, a host that is none.
    """
    text = text.strip()
    if len(text) > MAX_URL_CHARS:
        raise InvalidRequest(f"The address is too long: at most {MAX_URL_CHARS} characters.")
    if any(ord(c) <= 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 or c == "\\" for c in text):
        raise InvalidRequest("The address holds spaces, backslashes or control characters: write them percent-encoded.")
    found = _SHAPE.fullmatch("https://" + text if _BARE_HOST.fullmatch(text) else text)
    scheme = found["scheme"].lower() if found else ""
    if found is None or scheme not in PORTS:
        raise InvalidRequest("Only addresses that start with http:// or https:// can be read.")
    authority = found["authority"]
    if "@" in authority:
        raise InvalidRequest("The address holds a user name or password: leave them out.")
    parts = _SIX.fullmatch(authority) or _NAMED.fullmatch(authority)
    if parts is None:
        raise InvalidRequest("The address has no readable host name.")
    port = int(parts["port"]) if parts["port"] else PORTS[scheme]
    if not 0 < port < 65_536:
        raise InvalidRequest("The address has a port that does not exist.")
    rest = found["rest"] if found["rest"].startswith("/") else "/" + found["rest"]
    return WebAddress(scheme, _host(parts["host"], authority.startswith("[")), port, quote(rest, safe=_SAFE))


def _host(text: str, bracketed: bool) -> str:
    """A host in its one spelling: IP addresses however written, international names as ASCII, no dot at the end."""
    try:
        if bracketed:
            return str(ipaddress.IPv6Address(text))
        name = text if text.isascii() else _as_ascii(text)
        name = name.lower().removesuffix(".")
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            # What ends in a number is an IPv4 address or nothing: 127.1, 0x7f.1, 017700000001, 2130706433.
            return socket.inet_ntoa(socket.inet_aton(name))
    except (ValueError, OSError):
        raise InvalidRequest("The address has no readable host name.") from None
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise InvalidRequest("The address has no readable host name.")
    return name


def _as_ascii(name: str) -> str:
    """An international name as DNS knows it. Raises ValueError."""
    import idna

    return idna.encode(name, uts46=True).decode("ascii")


def is_home_name(host: str) -> bool:
    """Whether a name belongs to this machine or its own network by its form alone; no IP address does."""
    return ":" not in host and ("." not in host or host.endswith(tuple(f".{name}" for name in _HOME_NAMES)))


def is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet; addresses wrapped in others are judged by what is inside."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return _is_open(found)
    if found.scope_id is not None:
        return False
    inside = _unwrapped(found)
    return all(_is_open(each) for each in inside) if inside else _is_open(found)


def _is_open(address: _Address) -> bool:
    closed = any(address in network for network in _CLOSED if network.version == address.version)
    return not closed and address.is_global and not address.is_multicast and not address.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")


def _unwrapped(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses an IPv6 address carries: mapped, translated, compatible, NAT64, 6to4, Teredo, ISATAP."""
    low = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if address in _NAT64 or address in _TRANSLATED:
        return [low]
    if int(address) >> 32 == 0 and int(address) > 0xFFFF:
        return [low]
    if (int(address) >> 32) & 0xFDFF_FFFF == 0x5EFE:
        return [low] if not _is_open(low) else []
    return []
