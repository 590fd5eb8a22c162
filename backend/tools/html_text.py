"""What a page says: its bytes as text, and of HTML the title, the main text and the links, worked out by a worker."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from backend.models.errors import InvalidRequest, ServiceFailed, WorkerFailed
from backend.tools.web_fetch import WebPage
from backend.workers.port import Limits, Worker

JOB = "backend.workers.jobs.html_job:readable"
LIMITS = Limits(seconds=5.0, memory_mb=512, output_bytes=1_048_576)
MAX_LINKS = 40
HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_HEAD_BYTES = 2_048
_DECLARED = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([a-z0-9_-]{2,30})|"
    rb"<\?xml[^>]{0,80}?encoding=[\"']([a-z0-9_-]{2,30})",
    re.IGNORECASE,
)
_CHARSET = re.compile(
    r"utf-?8|utf-?16(?:le|be|-le|-be)?|us-ascii|ascii|latin-?1|iso-?8859-?\d{1,2}|windows-?125\d|cp125\d|koi8-[ru]|"
    r"shift[-_]jis|sjis|euc-jp|euc-kr|iso-2022-jp|gb2312|gbk|gb18030|big5"
)
"""Character sets of the web; Python's codecs hold other things too, such as compression."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class Readable:
    """`text` is cut; `characters` is how long it is in full. `links` are (words, address)."""

    title: str
    text: str
    characters: int
    links: tuple[tuple[str, str], ...] = ()


async def read_page(page: WebPage, worker: Worker, max_chars: int) -> Readable:
    """Raises InvalidRequest when it is no text after all, ServiceFailed when it cannot be taken apart in time."""
    text = decoded(page)
    if page.content_type not in HTML_TYPES:
        text = text.replace("\r\n", "\n").strip()
        return Readable("", text[:max_chars], len(text))
    payload = {"markup": text, "url": page.url, "max_chars": max_chars, "max_links": MAX_LINKS}
    try:
        found = await worker.run(JOB, payload, limits=LIMITS)
    except WorkerFailed:
        raise ServiceFailed("The page cannot be taken apart: it is too large or too tangled.") from None
    links = tuple((str(each["text"]), str(each["url"])) for each in found["links"])
    return Readable(str(found["title"]), str(found["text"]), int(found["characters"]), links)


def decoded(page: WebPage) -> str:
    """The body as text: by byte-order mark, else as the server says, else as the page says, else UTF-8 or Windows-1252.

    Raises InvalidRequest for binary data under the name of text.
    """
    body = page.body
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body.decode(encoding, "replace")
    declared = _DECLARED.search(body[:_HEAD_BYTES]) if page.content_type in HTML_TYPES or b"<?xml" in body[:8] else None
    said = next((name.decode() for name in declared.groups() if name), "") if declared else ""
    for name in (page.charset, said):
        if name and _CHARSET.fullmatch(name.lower()):
            try:
                return _without_nul(body.decode(name.lower(), "replace"))
            except LookupError:
                continue
    try:
        return _without_nul(body.decode("utf-8"))
    except UnicodeDecodeError:
        return _without_nul(body.decode("cp1252", "replace"))


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise InvalidRequest("The address leads to binary data: only text can be read.")
    return text
