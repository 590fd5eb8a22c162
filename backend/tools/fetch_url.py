"""`fetch_url`: reads one public page as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from backend.models.run import RunContext
from backend.models.tools import Proposal, Source, ToolResult
from backend.tools.html_text import Readable, read_page
from backend.tools.port import BaseTool, ToolServices
from backend.tools.web_fetch import WebFetcher, WebPage
from backend.utils.patterns import LazyPattern
from backend.workers.port import Worker

LINKS_SHOWN = 15
MAX_PROPOSED = 3
_URL = re.compile(r"https?://[^\s<>\"'`\\^{}|]{3,2000}", re.IGNORECASE)
_ASKED = LazyPattern(
    r"\b(?:read|open|fetch|visit|load|browse|summari[sz]e|sum up|tl;?dr|extract|check(?: out)?|look at|go to|get|"
    r"translate|(?:what|who|when|where|which|how) .{0,80}?(?:on|at|in|from|says?|about)|according to|page|article|"
    r"lies|lese|öffne|hole?|besuche?|fasse?|zusammenfass\w*|prüfe|was steht|was sagt|laut|seite|artikel|"
    r"lis|lire|ouvre|visite|résume\w*|que dit|selon|"
    r"lee|abre|visita|resume|resumen|qué dice|según|página|artículo|"
    r"leggi|apri|riassumi|cosa dice|secondo|pagina|articolo|"
    r"leia|abra|resuma|o que diz|segundo|artigo|lees|samenvat\w*|vat)\b"
)
_WRITES = LazyPattern(
    r"\b(?:regex|regular expression|curl|wget|code|script|function|href|markdown|html|parse|example url|qr|redirect|"
    r"is .{0,40}valid|domain name|shorten)\b"
)


def create(services: ToolServices) -> FetchUrl:
    settings = services.settings
    return FetchUrl(WebFetcher(settings.fetch_allowed_hosts, contact=settings.service_contact), services.worker)


class Arguments(BaseModel):
    url: str = Field(
        min_length=4, max_length=2000, description="The whole address, with https://, as the user or a result gave it."
    )
    max_chars: int = Field(default=8_000, ge=200, le=20_000, description="How much of the page's text to return.")


class FetchUrl(BaseTool):
    name = "fetch_url"
    description = (
        "Reads one public web page (HTML, plain text, JSON or XML) and returns its title, main text and links. Use it "
        "for an address the user gave or a search found; not to search, and not for files such as PDF or images."
    )
    Args: ClassVar[type[BaseModel]] = Arguments
    timeout_s = 20.0
    untrusted = True
    outbound = True

    def __init__(self, fetcher: WebFetcher, worker: Worker) -> None:
        self._fetcher = fetcher
        self._worker = worker

    def addresses(self, arguments: Any) -> Sequence[str]:
        return [arguments.url]

    async def run(self, arguments: Arguments, context: RunContext) -> ToolResult:
        """`data`: {url, title, content_type, characters, truncated, links}; the text is the source's quote.

        Raises InvalidRequest for an address that is not read, ServiceFailed when the page cannot be had.
        """
        page = await self._fetcher.fetch(arguments.url)
        return _result(page, await read_page(page, self._worker, arguments.max_chars))

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        return [Proposal({"url": url}, sure, "the query names an address") for url, sure in find_addresses(query)]


def find_addresses(query: str) -> list[tuple[str, float]]:
    """The addresses a query wants read, with how sure that is, in [0, 1]."""
    found = list(dict.fromkeys(_trimmed(each.group()) for each in _URL.finditer(query[:4000])))[:MAX_PROPOSED]
    if not found:
        return []
    words = _URL.sub(" ", query[:4000])
    sure = 0.4 if _WRITES.search(words) else 0.95 if _ASKED.search(words) or not words.strip(" .?!:\n") else 0.6
    return [(url, sure) for url in found]


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence it stands in."""
    url = url.rstrip(".,;:!?*_~")
    while url.endswith((")", "]")) and url.count(url[-1]) > url.count("(" if url[-1] == ")" else "["):
        url = url[:-1].rstrip(".,;:!?")
    return url


def _result(page: WebPage, read: Readable) -> ToolResult:
    title = read.title or page.url
    data = {
        "url": page.url,
        "title": read.title,
        "content_type": page.content_type,
        "characters": read.characters,
        "truncated": read.characters > len(read.text),
        "links": [{"text": words, "url": address} for words, address in read.links],
    }
    if not read.text.strip():
        return ToolResult(f"The page {page.url} holds no readable text: it may need a browser that runs scripts.", data)
    lines = [
        f"Read {page.url}"
        + (f" (the first {len(read.text)} of {read.characters} characters)." if data["truncated"] else ".")
    ]
    lines += [f"Link: {words}: {address}" for words, address in read.links[:LINKS_SHOWN]]
    return ToolResult("\n".join(lines), data, (Source("web", title, read.text, page.url),))
