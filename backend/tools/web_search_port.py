"""What every search engine is asked and gives back, and the care its results need before anybody sees them."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from backend.models.errors import InvalidRequest
from backend.tools.web_address import read_address

MAX_TITLE_CHARS = 200
MAX_CONTENT_CHARS = 1_200
_TAG = re.compile(r"</?[a-z][a-z0-9]{0,10}(?:\s[^<>]{0,200})?/?>", re.IGNORECASE)
_TRACKING = re.compile(r"utm_\w+|gclid|fbclid|msclkid|mc_[ce]id|igshid|ref_src|srsltid", re.IGNORECASE)
_ISO_DATE = re.compile(r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")

Recency = Literal["day", "week", "month", "year"]


@dataclass(frozen=True, slots=True)
class Question:
    """`limit` is 1..20; `site` a host name whose pages alone are wanted."""

    query: str
    limit: int
    recency: Recency | None = None
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One result. `score` in [0, 1], higher is better; `date` as YYYY-MM-DD where the engine knows it."""

    title: str
    url: str
    content: str
    score: float
    date: str | None = None


class SearchEngine(Protocol):
    name: str
    """As people know it."""

    async def search(self, question: Question) -> list[Hit]:
        """Best first, perhaps more than asked for. Raises ServiceFailed with a sentence for a person."""
        ...

    async def aclose(self) -> None: ...


def hit_of(row: Mapping[str, Any], fields: tuple[str, str, str], rank: int, score: Any = None) -> Hit | None:
    """A result out of an engine's row, whose `fields` hold title, address and text; None when it has no usable address.

    `rank` counts from 0 and makes the score where the engine gives none.
    """
    title, url, content = (row.get(name) for name in fields)
    address = usable_url(url)
    if address is None:
        return None
    return Hit(
        title=clean(title, MAX_TITLE_CHARS) or address,
        url=address,
        content=clean(content, MAX_CONTENT_CHARS),
        score=_score(score, rank),
        date=date_of(row.get("published_date") or row.get("publishedDate") or row.get("date")),
    )


def usable_url(url: Any) -> str | None:
    """An http(s) address without credentials, as it was given; None for anything else."""
    try:
        if not isinstance(url, str) or not url.strip().lower().startswith(("http://", "https://")):
            return None
        read_address(url)
    except InvalidRequest:
        return None
    return url.strip()


def clean(text: Any, limit: int) -> str:
    """One line of plain text, cut at a word."""
    if not isinstance(text, str):
        return ""
    plain = " ".join(html.unescape(_TAG.sub(" ", text[: limit * 4])).split())
    return plain if len(plain) <= limit else plain[:limit].rsplit(" ", 1)[0] + " …"


def _score(score: Any, rank: int) -> float:
    if isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score):
        return round(min(1.0, max(0.0, float(score))), 4)
    return round(1 / (1 + rank / 5), 4)


def date_of(value: Any) -> str | None:
    """A date as YYYY-MM-DD from ISO 8601 or the form of mail headers."""
    if not isinstance(value, str) or len(value) > 60:
        return None
    iso = _ISO_DATE.match(value.strip())
    if iso:
        return iso.group()
    try:
        found: datetime = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return found.date().isoformat() if 1990 <= found.year <= 2100 else None


def distinct(hits: Iterable[Hit], question: Question) -> list[Hit]:
    """At most as many as asked for, best first, each page once, of the wanted site alone."""
    kept: dict[str, Hit] = {}
    for hit in hits:
        if question.site and not _is_of(hit.url, question.site):
            continue
        key = normalised(hit.url)
        known = kept.get(key)
        if known is None:
            kept[key] = hit
        else:
            fuller = hit if len(hit.content) > len(known.content) else known
            kept[key] = replace(fuller, score=max(hit.score, known.score), date=known.date or hit.date)
    # The sort is stable: equal scores keep the engine's own order.
    return sorted(kept.values(), key=lambda hit: -hit.score)[: question.limit]


def _is_of(url: str, site: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == site or host.endswith("." + site)


def normalised(url: str) -> str:
    """What is the same for all spellings of a page's address: no scheme, `www.`, tracking marks or fragment."""
    address = read_address(url)
    path, _, query = address.target.partition("?")
    kept = sorted((name, value) for name, value in parse_qsl(query, True) if not _TRACKING.fullmatch(name))
    host = address.host.removeprefix("www.")
    return f"{host}:{address.port if address.port not in (80, 443) else ''}{path.rstrip('/')}?{urlencode(kept)}"
