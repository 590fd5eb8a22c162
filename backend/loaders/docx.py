"""Word documents: headings, paragraphs, lists, tables and notes in the order they stand.

Left out are headers and footers, comments, tables of contents, hidden text, and what was deleted while changes were
tracked. What the document refers to outside itself is never fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.decoding import TOO_LONG
from backend.loaders.docx_styles import Numbering, Styles
from backend.loaders.docx_text import Converter
from backend.loaders.markdown_text import MAX_CHARS, one_line
from backend.loaders.office import (
    OLE,
    ZIP,
    Damaged,
    Package,
    attribute,
    child,
    local,
    refuse_old,
    refuse_unsafe,
    value_of,
)
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

DAMAGED = "The Word document is damaged and cannot be read: save it again as .docx and upload the new file."
OTHER = "The file is named like a Word document but is something else."
AROUND = frozenset({"sdt", "sdtContent", "customXml", "ins", "moveTo", "body", "document"})
"""Elements whose content stands as if they were not there."""


class DocxLoader:
    name = "docx"
    extensions = (".docx",)
    content_type = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and head.startswith((ZIP, OLE))

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text without page number: a .docx has pages only once it is laid out."""
        refuse_old(path, "a Word document", ".docx")
        refuse_unsafe(path, None, "a Word document")
        try:
            with Package(path) as package:
                if not any(name.startswith("word/") for name in package.names):
                    raise LoadRefused(OTHER)
                yield PageText(None, _text(package), form="markdown")
        except (Damaged, RecursionError):
            raise LoadRefused(DAMAGED) from None


def _text(package: Package) -> str:
    main = package.main_part("word/", "word/document.xml")
    relations = package.relations(main)
    parts = {kind: target for kind, target in relations.values() if target in package.names}
    links = {key: target for key, (kind, target) in relations.items() if kind == "external:hyperlink"}
    notes: dict[str, str] = {}
    for kind in ("footnote", "endnote"):
        if f"{kind}s" in parts:
            notes.update(_notes(package, parts[f"{kind}s"], kind))
    styles = Styles(_blocks(package, parts["styles"], "styles", "style")) if "styles" in parts else Styles()
    numbering = Numbering(package.tree(parts["numbering"])) if "numbering" in parts else Numbering()
    converter = Converter(styles, numbering, notes, links)
    found_body = False
    for element in package.stream(main, _is_block, ("p", "tr", "tbl", "body")):
        name = local(element)
        found_body = True
        if name == "p":
            if not _in_contents(element):
                converter.paragraph(element)
        elif name == "tr":
            converter.row(element)
        elif name == "tbl":
            converter.end_table()
    if not found_body:
        raise Damaged(main)
    return converter.text()


def _is_block(element: Any) -> bool:
    """A paragraph, table or row of the text itself, not of a cell or a text box."""
    if local(element) == "body":
        return True
    above = element.getparent()
    if local(element) == "tr":
        while above is not None and local(above) in AROUND and local(above) != "body":
            above = above.getparent()
        if above is None or local(above) != "tbl":
            return False
        above = above.getparent()
    while above is not None:
        if local(above) not in AROUND:
            return False
        above = above.getparent()
    return True


def _in_contents(element: Any) -> bool:
    """Whether a paragraph stands in a table of contents that Word has made."""
    for above in element.iterancestors():
        if local(above) != "sdt":
            continue
        properties = child(above, "sdtPr")
        part = child(properties, "docPartObj") if properties is not None else None
        if (value_of(part, "docPartGallery") or "").lower() == "table of contents":
            return True
    return False


def _blocks(package: Package, part: str, root: str, tag: str) -> Iterator[Any]:
    """The elements right below the root of a part."""

    def is_block(element: Any) -> bool:
        above = element.getparent()
        return above is not None and local(above) == root

    return package.stream(part, is_block, (tag,))


def _notes(package: Package, part: str, kind: str) -> Iterator[tuple[str, str]]:
    plain = Converter(Styles(), Numbering(), {}, {})
    size = 0
    for element in _blocks(package, part, f"{kind}s", kind):
        if attribute(element, "type") in ("separator", "continuationSeparator", "continuationNotice"):
            continue
        text = one_line(" ".join(text for text, _ in plain.blocks(element)))
        size += len(text)
        if size > MAX_CHARS:
            raise LoadRefused(TOO_LONG)
        yield f"{kind}:{attribute(element, 'id')}", text


LOADER = DocxLoader()
