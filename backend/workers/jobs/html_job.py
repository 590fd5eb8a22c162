"""The job behind reading pages: title, main text and links of HTML, without what a reader would not see."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any
from urllib.parse import urljoin

from lxml import etree, html

HIDDEN = frozenset(
    {
        "script",
        "style",
        "noscript",
        "template",
        "nav",
        "head",
        "svg",
        "math",
        "iframe",
        "object",
        "embed",
        "canvas",
        "audio",
        "video",
        "button",
        "select",
        "option",
        "input",
        "textarea",
        "dialog",
        "map",
    }
)
BLOCKS = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "br",
        "caption",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "ul",
    }
)
MAIN_SHARE = 0.2
"""Of the page's text, from which a `main` or `article` is taken for the whole of it."""
MIN_MAIN_CHARS = 200
MAX_TITLE_CHARS = 300
MAX_LINK_CHARS = 2_000
MAX_MAINS = 5
MAX_ANCHORS = 2_000
"""Looked at; a page of nothing but links must not take its worker's whole time."""
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])")
_SPACES = re.compile(r"[ \t\r\f\v\u00a0\u200b\u200e\u200f\u2060\ufeff]+")
_HEADING = re.compile(r"h[1-6]")


def readable(markup: str, url: str, max_chars: int, max_links: int) -> dict[str, Any]:
    """{title, text, characters, links: [{text, url}]}: `text` is cut at `max_chars`, `characters` is its full length.

    `url` is the page's own address, against which links are completed. Anything parses: what is no HTML is text.
    """
    # Bytes, as a declaration of another encoding inside a str is refused.
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return {"title": "", "text": "", "characters": 0, "links": []}
    part, text = _main(root)
    return {
        "title": _title(root),
        "text": text[:max_chars],
        "characters": len(text),
        "links": _links(part, _base(root, url), max_links),
    }


def _title(root: Any) -> str:
    for found in (root.findtext(".//title"), *(_text(each) for each in root.iterfind(".//h1"))):
        title = " ".join((found or "").lstrip("#").split())
        if title:
            return title[:MAX_TITLE_CHARS]
    return ""


def _base(root: Any, url: str) -> str:
    return _joined(url, (root.xpath("string(//base/@href)") or "").strip()) or url


def _main(root: Any) -> tuple[Any, str]:
    """The element that holds what the page is about, and its text; the whole page when none stands out."""
    body = root.find(".//body")
    body = root if body is None else body
    whole = _text(body)
    for path in (".//main", ".//*[@role='main']", ".//article"):
        found = [(_text(each), each) for each in islice(body.iterfind(path), MAX_MAINS)]
        if found:
            text, element = max(found, key=lambda each: len(each[0]))
            if len(text) >= max(MIN_MAIN_CHARS, len(whole) * MAIN_SHARE):
                return element, text
    return body, whole


def _is_hidden(element: Any) -> bool:
    if not isinstance(element.tag, str) or element.tag in HIDDEN or "hidden" in element.attrib:
        return True
    style = element.get("style")
    return element.get("aria-hidden") == "true" or bool(style and _UNSEEN.search(style.lower()))


def _text(part: Any) -> str:
    """The text as lines: headings with `#`, list items with `-`, table cells parted by `|`."""
    pieces: list[str] = []
    preformatted = 0
    walk = etree.iterwalk(part, events=("start", "end"))
    for event, element in walk:
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            if _is_hidden(element) and element is not part:
                walk.skip_subtree()
                continue
            preformatted += tag == "pre"
            pieces.append(_before(tag))
            pieces.append(_inner(element.text, preformatted))
        else:
            if not _is_hidden(element):
                preformatted -= tag == "pre"
                pieces.append("\n" if tag in BLOCKS else " | " if tag in ("td", "th") else "")
            if element is not part:
                pieces.append(_inner(element.tail, preformatted))
    return _tidy("".join(pieces))


def _before(tag: str) -> str:
    if _HEADING.fullmatch(tag):
        return "\n" + "#" * int(tag[1]) + " "
    return "\n- " if tag == "li" else "\n" if tag in BLOCKS else ""


def _inner(text: str | None, preformatted: int) -> str:
    if not text:
        return ""
    return text if preformatted else text.replace("\n", " ")


def _tidy(text: str) -> str:
    lines = (_SPACES.sub(" ", line).strip().removesuffix(" |") for line in text.split("\n"))
    return "\n".join(line for line in lines if line.strip("-#| "))


def _links(part: Any, base: str, limit: int) -> list[dict[str, str]]:
    """The first http(s) links with words in them, each address once."""
    found: dict[str, str] = {}
    for anchor in islice(part.iter("a"), MAX_ANCHORS):
        if len(found) >= limit:
            break
        words = " ".join(anchor.text_content()[:500].split())[:120]
        address = _joined(base, (anchor.get("href") or "").strip())
        if words and address and not any(_is_hidden(each) for each in (anchor, *anchor.iterancestors())):
            found.setdefault(address, words)
    return [{"text": words, "url": address} for address, words in found.items()]


def _joined(base: str, href: str) -> str:
    """An http(s) address without fragment, or nothing."""
    if not href or len(href) > MAX_LINK_CHARS or href.startswith("#"):
        return ""
    try:
        address = urljoin(base, href).partition("#")[0]
    except ValueError:
        return ""
    return address if address.startswith(("http://", "https://")) else ""
