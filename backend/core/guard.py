"""What a run may not do, whatever its model says: rights of tools that reach beyond this machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from backend.models.errors import NotAllowed
from backend.models.run import RunContext
from backend.models.tools import Source
from backend.tools.port import Tool

MAX_WORDS_CHARS = 200_000
_ADDRESS = re.compile(
    r"https?://[^\s<>\"'`]+|\b[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,10}(?:/[^\s<>\"'`]*)?", re.IGNORECASE
)
_ENDINGS = ".,;:!?)]}*_"


@dataclass(slots=True)
class Guard:
    """Source: the security file's INJ-2. One instance serves one run.

    An address that the model made up after it has read text of strangers may be how that text sends something out;
    so it must stand, word for word, in the user's own messages or among the sources of this run.
    """

    own_words: Sequence[str] = ()
    """What the user wrote in this conversation."""
    read_untrusted: bool = False
    """A result with text that nobody here wrote has been seen in this run."""

    def check(self, tool: Tool, arguments: Any, context: RunContext, sources: Sequence[Source]) -> None:
        """Raises NotAllowed with a sentence the model can act on."""
        if tool.needs_confirmation and tool.name not in context.confirmed_tools:
            raise NotAllowed(f"{tool.name} needs the user's confirmation: ask the user to allow it, then try again.")
        if not self.read_untrusted:
            return
        known = {comparable(source.url) for source in sources}
        known.update(each for words in self.own_words for each in addresses_in(words))
        if any(comparable(address) not in known for address in tool.addresses(arguments)):
            raise NotAllowed(
                f"{tool.name} may not visit this address: after reading foreign text only addresses that the user "
                "wrote or that a result of this run names as its source may be visited."
            )


def addresses_in(words: str) -> set[str]:
    """The web addresses of a text, in comparable form; the sign that ends a sentence is not part of one."""
    return {comparable(found.group().rstrip(_ENDINGS)) for found in _ADDRESS.finditer(words[:MAX_WORDS_CHARS])}


def comparable(address: str) -> str:
    """An address with scheme and host in lower case, without fragment; `example.org` is `https://example.org/`."""
    text = address.strip()
    text = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path or "/", parts.query, ""))
