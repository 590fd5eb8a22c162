"""`wikipedia`: search and summary in any language edition, from the MediaWiki API."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field

from backend.models.errors import ServiceFailed
from backend.models.run import RunContext
from backend.models.tools import Proposal, Source, ToolResult
from backend.tools.port import BaseTool, ToolServices
from backend.tools.service_client import ServiceClient
from backend.utils.language import detect_language
from backend.utils.patterns import LazyPattern

KEEP_S = 3600.0
MAX_KEPT = 256
MAX_CLIENTS = 16
SEARCHED = 6
MAX_QUOTE_CHARS = 4_000
MAX_SECTIONS = 40
_EDITION = r"^[a-z]{2,3}(?:-[a-z]{2,10}){0,2}$"
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+(?=[^a-z\s])|\n+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-zÀ-ÿ]|Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec|Okt|Dez|ca|bzw|Dr|Mr|Mrs|St|No|vs|etc|approx|resp|geb|gest|vgl|Nr)|\b\d{1,2})\.$"
)
_HEADING = re.compile(r"^(={2,4})\s*(.+?)\s*\1\s*$", re.MULTILINE)
_ASKED = LazyPattern(
    r"(?P<q>.{2,160}?)\s+(?:on|in|from|to|auf|bei|sur|en|su|na|no|laut|selon|según|secondo|segundo)\s+(?:the\s+)?wikip[eé]dia\b",
    r"\bwikip[eé]dia\b(?:'s)?\s*(?:article|entry|page|summary|artikel|eintrag|article|artículo|voce|artigo)?\s*"
    r"(?:(?:say |said |tell |tells |know )?about|on|for|of|über|zu|sur|sobre|su|:)\s+(?P<r>.{2,160})",
    r"\bwikip[eé]dia\b[\s:,]+(?P<s>.{2,160})",
)
_LEAD = LazyPattern(
    r"^\W*(?:please\s+|can you\s+|could you\s+)?(?:search(?: for)?|look(?: up)?|find|check|what does|what is|what's|"
    r"who (?:is|was)|tell me about|read(?: about)?|summari[sz]e|show(?: me)?|get|give me|suche?(?: nach)?|was sagt|"
    r"schlag|finde|wer (?:ist|war)|cherche|trouve|que dit|qui (?:est|était)|busca|qué dice|quién (?:es|fue)|cerca|"
    r"chi (?:è|era)|procura|pesquisa|quem (?:é|foi))"
    r"(?:\s+(?:the|a|an|up|me|for|about|out|nach|über))*\s+"
)
_TAIL = LazyPattern(r"\s+(?:according(?: to)?|says?|say about|tell|up|nach|article|entry|page)?\W*$")


def create(services: ToolServices) -> Wikipedia:
    return Wikipedia(services.settings.wikipedia_url, services.settings.service_contact)


def _edition(value: Any) -> Any:
    """Models write `English`, `EN` or nothing."""
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip().lower().replace("_", "-")
    return _NAMES.get(text, text)


_NAMES = {
    "english": "en",
    "german": "de",
    "deutsch": "de",
    "french": "fr",
    "français": "fr",
    "spanish": "es",
    "español": "es",
    "italian": "it",
    "italiano": "it",
    "portuguese": "pt",
    "português": "pt",
    "dutch": "nl",
    "polish": "pl",
    "russian": "ru",
    "japanese": "ja",
    "chinese": "zh",
    "arabic": "ar",
}


class Arguments(BaseModel):
    query: str = Field(
        min_length=1, max_length=300, description="The subject, best as an article's title would put it."
    )
    sentences: int = Field(default=3, ge=1, le=30, description="How long the summary should be.")
    language: Annotated[str | None, BeforeValidator(_edition)] = Field(
        default=None,
        pattern=_EDITION,
        description="Code of the language edition, e.g. en, de, fr, ja; leave out for the language of the query.",
    )
    section: str | None = Field(
        default=None, max_length=200, description="Heading of one section to read instead of the summary."
    )


class Wikipedia(BaseTool):
    name = "wikipedia"
    description = (
        "Looks up a person, place, thing, event or idea in Wikipedia and returns the beginning of the article, the "
        "names of its sections and similar articles. Use it for established facts; not for news, prices or opinions."
    )
    Args: ClassVar[type[BaseModel]] = Arguments
    timeout_s = 30.0
    untrusted = True
    outbound = True

    def __init__(self, url: str, contact: str) -> None:
        self._url = url
        self._contact = contact
        self._clients: dict[str, ServiceClient] = {}
        self._kept: dict[tuple[Any, ...], tuple[float, Any]] = {}
        """Answers by question; public articles, nothing of any user."""

    async def run(self, arguments: Arguments, context: RunContext) -> ToolResult:
        """`data`: {title, url, language, summary, sections, alternatives, disambiguation}. Raises ServiceFailed."""
        language = arguments.language or detect_language(arguments.query) or "en"
        found = await self._search(language, arguments.query)
        page = found[0] if found else None
        if page is None:
            return ToolResult(
                "", error=f"Wikipedia ({language}) has no article on {arguments.query[:80]!r}: try other words."
            )
        others = [str(each["title"]) for each in found[1:]]
        if "disambiguation" in (page.get("pageprops") or {}):
            options = await self._meanings(language, str(page["title"]))
            return _ambiguous(page, language, list(dict.fromkeys([*options, *others])))
        article = await self._article(language, str(page["title"]))
        return _answered(page, article, language, others, arguments)

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        subject = find_subject(query)
        return [Proposal({"query": subject}, 0.95, "Wikipedia is asked for")] if subject else ()

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    # ---- the service ----------------------------------------------------------------------------

    async def _search(self, language: str, query: str) -> list[dict[str, Any]]:
        """The article of exactly this title (redirects followed) first, then what the search finds."""
        title = query.strip().strip("|#<>[]{}")[:250]
        exact = await self._pages(language, {"titles": title, "redirects": 1}) if "|" not in title else []
        found = [page for page in exact if not page.get("missing") and not page.get("invalid")]
        searched = await self._pages(
            language, {"generator": "search", "gsrsearch": query, "gsrlimit": SEARCHED, "gsrnamespace": 0}
        )
        searched.sort(key=lambda page: page.get("index", 99))
        known = {page["title"] for page in found}
        return found + [page for page in searched if page["title"] not in known]

    async def _pages(self, language: str, question: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = await self._ask(language, {"prop": "info|pageprops|description", "inprop": "url", **question})
        pages = answer.get("query", {}).get("pages", ())
        return [page for page in pages if isinstance(page, dict) and isinstance(page.get("title"), str)]

    async def _article(self, language: str, title: str) -> str:
        """The text of an article with `== headings ==`."""
        question = {"titles": title, "prop": "extracts", "explaintext": 1, "exsectionformat": "wiki", "redirects": 1}
        answer = await self._ask(language, question)
        pages = answer.get("query", {}).get("pages", ())
        texts = [page.get("extract") for page in pages if isinstance(page, dict)]
        return next((text for text in texts if isinstance(text, str)), "")

    async def _meanings(self, language: str, title: str) -> list[str]:
        question = {"titles": title, "prop": "links", "plnamespace": 0, "pllimit": 30}
        answer = await self._ask(language, question)
        pages = answer.get("query", {}).get("pages", ())
        links = [link for page in pages if isinstance(page, dict) for link in page.get("links") or ()]
        return [str(link["title"]) for link in links if isinstance(link, dict) and "title" in link]

    async def _ask(self, language: str, question: Mapping[str, Any]) -> dict[str, Any]:
        key = (language, *sorted((name, str(value)) for name, value in question.items()))
        at, kept = self._kept.get(key, (float("-inf"), {}))
        if time.monotonic() - at < KEEP_S:
            return dict(kept)
        client = await self._client(language)
        answer = await client.get(
            "/w/api.php", {"action": "query", "format": "json", "formatversion": 2, "maxlag": 5, **question}
        )
        if not isinstance(answer, dict) or "error" in answer:
            raise _refused(answer, language)
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (time.monotonic(), answer)
        return answer

    async def _client(self, language: str) -> ServiceClient:
        """One connection an edition; the one opened first goes when there are many."""
        if language not in self._clients:
            if len(self._clients) >= MAX_CLIENTS:
                await self._clients.pop(next(iter(self._clients))).aclose()
            url = self._url.replace("{language}", language)
            self._clients[language] = ServiceClient(f"Wikipedia ({language})", url, contact=self._contact)
        return self._clients[language]


def find_subject(query: str) -> str | None:
    """What a query that names Wikipedia wants to know about; None when it does not name it."""
    text = " ".join(query[:400].split())
    found = _ASKED.search(text)
    if found is None:
        return None
    subject = found["r"] or found["s"] or found["q"] or ""
    subject = _TAIL.sub("", _LEAD.sub("", subject)).strip(" \"'?.!:,")
    return subject if len(subject) > 1 else None


def _refused(answer: Any, language: str) -> ServiceFailed:
    error = answer.get("error") if isinstance(answer, dict) else None
    code = str(error.get("code")) if isinstance(error, dict) else ""
    if code in ("maxlag", "ratelimited", "readonly"):
        return ServiceFailed(f"Wikipedia ({language}) is busy: try again in a moment.")
    return ServiceFailed(f"Wikipedia ({language}) refused the question: try other words.")


def _ambiguous(page: Mapping[str, Any], language: str, options: Sequence[str]) -> ToolResult:
    shown = [option for option in options if option != page["title"]][:20]
    text = f"{page['title']!r} has several meanings in Wikipedia ({language}): {'; '.join(shown)}. Ask for one of them."
    data = {
        "title": page["title"],
        "url": page.get("fullurl"),
        "language": language,
        "disambiguation": True,
        "alternatives": shown,
    }
    return ToolResult(text, data)


def _answered(
    page: Mapping[str, Any], article: str, language: str, others: Sequence[str], arguments: Arguments
) -> ToolResult:
    parts = _sections(article)
    headings = [heading for heading, _ in parts if heading][:MAX_SECTIONS]
    heading, body = "", parts[0][1]
    if arguments.section:
        wanted = arguments.section.strip().lower()
        match = next((part for part in parts if part[0].lower() == wanted), None)
        match = match or next((part for part in parts if wanted in part[0].lower()), None)
        if match is None:
            names = "; ".join(headings) or "none"
            return ToolResult(
                "", error=f"The article {page['title']!r} has no section {wanted[:80]!r}; its sections: {names}."
            )
        heading, body = match
    quote = first_sentences(body, arguments.sentences)[:MAX_QUOTE_CHARS]
    title = f"{page['title']} - Wikipedia ({language})" + (f", {heading}" if heading else "")
    url = page.get("fullurl") if str(page.get("fullurl", "")).startswith(("https://", "http://")) else ""
    lines = [f"Wikipedia ({language}), {page['title']}" + (f", section {heading}:" if heading else ":")]
    if headings and not heading:
        lines.append(f"Sections: {'; '.join(headings)}.")
    if others:
        lines.append(f"Other articles: {'; '.join(others)}.")
    data = {
        "title": page["title"],
        "url": url,
        "language": language,
        "summary": quote,
        "section": heading or None,
        "sections": headings,
        "alternatives": list(others),
        "disambiguation": False,
    }
    sources = (Source("web", title, quote, str(url or "")),) if quote else ()
    return ToolResult("\n".join(lines), data, sources)


def _sections(article: str) -> list[tuple[str, str]]:
    """Heading and text of each section; the first has no heading."""
    pieces = _HEADING.split(article)
    found = [("", pieces[0].strip())]
    found += [(pieces[n + 1], pieces[n + 2].strip()) for n in range(1, len(pieces) - 2, 3)]
    return found


def first_sentences(text: str, count: int) -> str:
    """The first sentences of a text; what only looks like an end (`Dr.`, `3.`) is none."""
    whole: list[str] = []
    pending = ""
    for piece in _SENTENCE_END.split(text):
        pending = f"{pending} {piece}".strip()
        if not pending or _ABBREVIATION.search(pending):
            continue
        whole.append(pending)
        pending = ""
        if len(whole) == count:
            break
    return " ".join(whole) if whole else pending
