"""HTML, as the Markdown of what a reader would see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backend.loaders.decoding import TOO_LONG, looks_like_text
from backend.loaders.html_markdown import decode_html, to_markdown
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_BYTES = 64 * 1_048_576


class HtmlLoader:
    name = "html"
    extensions = (".html", ".htm", ".xhtml", ".xht")
    content_type = "text/html"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and looks_like_text(head)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text: a page of the web has no pages of paper."""
        if path.stat().st_size > MAX_BYTES:
            raise LoadRefused(TOO_LONG)
        yield PageText(None, to_markdown(decode_html(path.read_bytes()))[0], form="markdown")


LOADER = HtmlLoader()
