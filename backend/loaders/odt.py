"""OpenDocument texts: headings, paragraphs, lists, tables and notes in the order they stand.

Left out are headers and footers, annotations, tables of contents, and what was deleted while changes were tracked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.odt_text import LEFT_OUT, Converter, Styles
from backend.loaders.office import PROTECTED, ZIP, Damaged, Package, local, refuse_unsafe
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

DAMAGED = "The OpenDocument text is damaged and cannot be read: save it again as .odt and upload the new file."
TAGS = ("p", "h", "list", "table", "table-row", "style", "list-style", "text")
AROUND = frozenset({"section", "text", "body", "document-content"})
ROWS_AROUND = frozenset({"table-rows", "table-header-rows", "table-row-group"})
STYLES_AROUND = frozenset({"automatic-styles", "styles"})


class OdtLoader:
    name = "odt"
    extensions = (".odt",)
    content_type = "application/vnd.oasis.opendocument.text"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and head.startswith(ZIP)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text without page number: an .odt has pages only once it is laid out."""
        refuse_unsafe(path, "content.xml", "an OpenDocument text")
        try:
            with Package(path) as package:
                _refuse_encrypted(package)
                yield PageText(None, _text(package), form="markdown")
        except (Damaged, RecursionError):
            raise LoadRefused(DAMAGED) from None


def _refuse_encrypted(package: Package) -> None:
    manifest = "META-INF/manifest.xml"
    if manifest in package.names and next(package.tree(manifest).iter("{*}encryption-data"), None) is not None:
        raise LoadRefused(PROTECTED)


def _text(package: Package) -> str:
    styles = Styles()
    if "styles.xml" in package.names:
        for element in package.stream("styles.xml", _is_style, ("style", "list-style")):
            styles.add(element)
    converter = Converter(styles)
    found_text = False
    for element in package.stream("content.xml", _is_block, TAGS):
        name = local(element)
        if name in ("style", "list-style"):
            styles.add(element)
        elif name == "table-row":
            converter.row(element)
        elif name == "table":
            converter.end_table()
        elif name == "text":
            found_text = True
        elif not any(local(above) in LEFT_OUT for above in element.iterancestors()):
            converter.block(element)
    if not found_text:
        raise LoadRefused("The file is named like an OpenDocument text but is something else.")
    return converter.text()


def _is_style(element: Any) -> bool:
    above = element.getparent()
    return local(element) in ("style", "list-style") and above is not None and local(above) in STYLES_AROUND


def _is_block(element: Any) -> bool:
    """A paragraph, list, table or row of the text itself, or a style."""
    name, above = local(element), element.getparent()
    if name in ("style", "list-style"):
        return _is_style(element)
    if name == "text":
        return above is not None and local(above) == "body"
    if name == "table-row":
        while above is not None and local(above) in ROWS_AROUND:
            above = above.getparent()
        if above is None or local(above) != "table":
            return False
        above = above.getparent()
    while above is not None:
        if local(above) not in AROUND:
            return False
        above = above.getparent()
    return True


LOADER = OdtLoader()
