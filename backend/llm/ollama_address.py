"""Where Ollama listens: the OLLAMA_HOST forms people write, made into base URLs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from backend.models.errors import SettingsError

DEFAULT_ADDRESS = "http://127.0.0.1:11434"
DEFAULT_PORT = 11434
SCHEME_PORTS = {"http": 80, "https": 443}
_UNSPECIFIED = frozenset({"0.0.0.0", "::"})
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})")


def base_urls(values: Iterable[str]) -> tuple[str, ...]:
    """Each address as `scheme://host:port[/path]` without a trailing slash, repeated ones once, order kept.

    Raises SettingsError naming the first value that is no address. None at all means the default address.
    """
    return tuple(dict.fromkeys(base_url(value) for value in values if value.strip())) or (DEFAULT_ADDRESS,)


def base_url(value: str) -> str:
    """One address. Without a scheme the port is 11434, with one it is the scheme's own, as Ollama reads OLLAMA_HOST.

    `0.0.0.0` and `[::]` are addresses to listen on, so they become 127.0.0.1; a trailing /v1 or /api is dropped.
    Raises SettingsError.
    """
    text = value.strip().strip("\"'").strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    scheme = scheme.lower()
    if scheme not in SCHEME_PORTS or re.search(r"[\s\x00-\x1f?#\\@]", rest):
        raise _bad(value)
    try:
        parts = urlsplit(f"{scheme}://{_bracketed(rest)}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _bad(value) from None
    if port == 0:
        raise _bad(value)
    if port is None:
        port = SCHEME_PORTS[scheme] if separator else DEFAULT_PORT
    path = re.sub(r"/(?:v1|api)$", "", parts.path.rstrip("/")).rstrip("/")
    return f"{scheme}://{_host(host or '127.0.0.1', value)}:{port}{path}"


def _bracketed(rest: str) -> str:
    """A bare IPv6 address gets the brackets a URL needs."""
    try:
        return f"[{rest}]" if ipaddress.ip_address(rest).version == 6 else rest
    except ValueError:
        return rest


def _host(host: str, value: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if _HOST_NAME.fullmatch(host) is None:
            raise _bad(value) from None
        return host
    if str(address) in _UNSPECIFIED:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)


def _bad(value: str) -> SettingsError:
    return SettingsError(
        f"OLLAMA_HOST={value[:200]!r} is not allowed: write an address such as {DEFAULT_ADDRESS} or gpu-box:11434,"
        " several separated by commas, without a user name or password."
    )
