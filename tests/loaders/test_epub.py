"""E-books: chapters in the order of reading, each with its title."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.loaders.epub import LOADER
from backend.loaders.port import LoadRefused
from tests.loaders.reading import archive, pages_of

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
XHTML = 'media-type="application/xhtml+xml"'
NAV = "<html><body><nav><ol><li><a href='two.xhtml#x'>The second</a></li></ol></nav></body></html>"
NCX = (
    '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd">'
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>From NCX</text></navLabel>'
    '<content src="two.xhtml"/></navPoint></navMap></ncx>'
)
ENCRYPTED = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><e:EncryptedData '
    'xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptionMethod Algorithm="{}"/></e:EncryptedData></encryption>'
)
DRM, FONTS = "http://www.w3.org/2001/04/xmlenc#aes128-cbc", "http://www.idpf.org/2008/embedding"


def book(**more: str) -> dict[str, str]:
    nav = (
        '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>' if "nav" in more else ""
    )
    entries = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": (
            '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
            f'<item id="1" href="text/one%20a.xhtml" {XHTML}/><item id="2" href="two.xhtml" {XHTML}/>'
            f'<item id="3" href="empty.xhtml" {XHTML}/><item id="4" href="../../../etc/passwd" {XHTML}/>'
            f'<item id="5" href="https://evil.example/x.xhtml" {XHTML}/><item id="ncx" href="toc.ncx"/>{nav}</manifest>'
            '<spine toc="ncx"><itemref idref="nav"/><itemref idref="2"/><itemref idref="3"/><itemref idref="4"/>'
            '<itemref idref="5"/><itemref idref="none"/><itemref idref="1"/></spine></package>'
        ),
        "OEBPS/text/one a.xhtml": (
            '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/x.dtd">'
            '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body><h1>One</h1>'
            "<p>&Eacute;t&eacute; 東京</p></body></html>"
        ),
        "OEBPS/two.xhtml": "<h2>Two</h2><p>text</p><aside epub:type='footnote'><p>note</p></aside>",
        "OEBPS/empty.xhtml": "<html><body><img src='cover.jpg'/></body></html>",
        "OEBPS/toc.ncx": NCX,
    }
    if "nav" in more:
        entries["OEBPS/nav.xhtml"] = more["nav"]
    if "encryption" in more:
        entries["META-INF/encryption.xml"] = ENCRYPTED.format(more["encryption"])
    return entries


@pytest.mark.parametrize(("more", "title"), [({"nav": NAV}, "The second"), ({}, "From NCX")], ids=["epub-3", "epub-2"])
def test_chapters_stand_in_reading_order_with_their_titles(tmp_path: Path, more: dict[str, str], title: str) -> None:
    pages = pages_of(LOADER, tmp_path, archive(book(**more)))
    assert [(page.number, page.unit, page.label, page.form) for page in pages] == [
        (1, "chapter", title, "markdown"), (2, "chapter", "One", "markdown"),
    ]  # fmt: skip
    assert [page.text for page in pages] == ["## Two\n\ntext\n\nnote", "# One\n\nÉté 東京"]


def test_disguised_fonts_are_no_protection(tmp_path: Path) -> None:
    assert len(pages_of(LOADER, tmp_path, archive(book(encryption=FONTS)))) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (archive(book(encryption=DRM)), "protected against copying"),
        (archive({"mimetype": "application/epub+zip"}), "something else"),
        (archive({"META-INF/container.xml": "<a>"}), "damaged"),
        (archive({"META-INF/container.xml": CONTAINER}), "damaged"),
        (archive(book())[:-100], "damaged"),
        (archive({**book(), "OEBPS/x.xhtml": "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}), "entities"),
        (archive({**book(), "OEBPS/x.xhtml": "0" * 30_000_000}), "unpacks"),
    ],
    ids=["drm", "no-container", "broken-xml", "no-package", "truncated", "entity", "bomb"],
)
def test_up_4_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        pages_of(LOADER, tmp_path, content)
