"""E-books, chapter by chapter in the order of reading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.html_markdown import decode_html, to_markdown
from backend.loaders.markdown_text import one_line
from backend.loaders.office import ZIP, Damaged, Package, attribute, child, local, refuse_unsafe, resolve
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_CHAPTERS = 2000
MAX_LABEL = 200
CONTAINER = "META-INF/container.xml"
DAMAGED = "The e-book is damaged and cannot be read: get it again and upload the new file."
DRM = "The e-book is protected against copying and cannot be read: upload an edition without protection."
FONT_ALGORITHMS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#rc")
"""Fonts are disguised in books that are otherwise free to read."""
TEXT_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_FIRST_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class EpubLoader:
    name = "epub"
    extensions = (".epub",)
    content_type = "application/epub+zip"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and head.startswith(ZIP)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text a chapter, labelled with its title; chapters without text are not counted."""
        refuse_unsafe(path, CONTAINER, "an e-book", doctypes=True)
        try:
            with Package(path) as package:
                _refuse_protected(package)
                for number, (title, text) in enumerate(_chapters(package), 1):
                    yield PageText(number, text, "chapter", title, "markdown")
        except (Damaged, RecursionError):
            raise LoadRefused(DAMAGED) from None


def _refuse_protected(package: Package) -> None:
    listing = "META-INF/encryption.xml"
    if listing not in package.names:
        return
    for each in package.tree(listing).iter("{*}EncryptedData"):
        method = child(each, "EncryptionMethod")
        algorithm = (attribute(method, "Algorithm") or "").lower() if method is not None else ""
        if algorithm not in FONT_ALGORITHMS:
            raise LoadRefused(DRM)


def _chapters(package: Package) -> Iterator[tuple[str, str]]:
    roots = package.tree(CONTAINER).iter("{*}rootfile")
    listing = next((attribute(each, "full-path") or "" for each in roots), "")
    if listing not in package.names:
        raise Damaged(listing)
    root = package.tree(listing)
    folder = listing.rpartition("/")[0]
    manifest, spine = child(root, "manifest"), child(root, "spine")
    if manifest is None or spine is None:
        raise Damaged(listing)
    items = {each.get("id") or "": each for each in manifest if local(each) == "item"}
    titles = _titles(package, folder, items, spine.get("toc") or "")
    for part in _reading_order(items, spine, folder, package.names):
        text, own_title = to_markdown(decode_html(package.bytes_of(part)))
        if not text.strip():
            continue
        first = _FIRST_HEADING.search(text)
        title = titles.get(part) or (first[1] if first else own_title)
        yield one_line(title)[:MAX_LABEL], text


def _reading_order(items: dict[str, Any], spine: Any, folder: str, names: frozenset[str]) -> list[str]:
    """The parts with text, without the table of contents."""
    found: list[str] = []
    for each in spine:
        entry = items.get(each.get("idref") or "") if local(each) == "itemref" else None
        if entry is None or "nav" in (entry.get("properties") or "").split():
            continue
        part = resolve(folder, entry.get("href") or "")
        kind = (entry.get("media-type") or "").lower()
        if part in names and part not in found and (kind in TEXT_TYPES or part.lower().endswith((".xhtml", ".html"))):
            found.append(part)
    if len(found) > MAX_CHAPTERS:
        raise LoadRefused(f"The e-book has {len(found)} chapters and at most {MAX_CHAPTERS} are allowed.")
    return found


def _titles(package: Package, folder: str, items: dict[str, Any], toc: str) -> dict[str, str]:
    """The titles of the table of contents by part: of EPUB 3 (a page of HTML), else of EPUB 2 (NCX)."""
    for entry in items.values():
        part = resolve(folder, entry.get("href") or "")
        if "nav" in (entry.get("properties") or "").split() and part in package.names:
            return _nav_titles(package, part)
    entry = items.get(toc)
    part = resolve(folder, entry.get("href") or "") if entry is not None else ""
    if part not in package.names:
        return {}
    titles: dict[str, str] = {}
    for point in package.tree(part).iter("{*}navPoint"):
        label, target = child(point, "navLabel"), child(point, "content")
        if label is not None and target is not None:
            words = " ".join(word.text or "" for word in label.iter("{*}text"))
            titles.setdefault(resolve(part.rpartition("/")[0], target.get("src") or ""), one_line(words))
    return titles


def _nav_titles(package: Package, part: str) -> dict[str, str]:
    """Of each chapter the first entry that points to it."""
    from lxml import etree

    raw = package.bytes_of(part)
    if raw.count(b"<") > 200_000:
        return {}
    root = etree.fromstring(decode_html(raw).encode(), etree.HTMLParser(encoding="utf-8", no_network=True))
    titles: dict[str, str] = {}
    for each in root.iter("a") if root is not None else ():
        words = one_line("".join(each.itertext()))
        if words and each.get("href"):
            titles.setdefault(resolve(part.rpartition("/")[0], each.get("href")), words)
    return titles


LOADER = EpubLoader()
