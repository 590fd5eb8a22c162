"""OpenDocument texts: structure kept as Markdown, what is not of the text left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.loaders.odt import LOADER
from backend.loaders.port import LoadRefused
from tests.loaders.reading import archive, text_of

KINDS = ("office", "text", "table", "style", "manifest")
NAMESPACES = " ".join(
    [f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in KINDS]
    + ['xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"', 'xmlns:xlink="http://www.w3.org/1999/xlink"']
)
STYLES = (
    '<style:style style:name="P1" style:parent-style-name="Title"/><text:list-style style:name="L1">'
    '<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>'
    '<text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")"/></text:list-style>'
)
CELL = "<table:table-cell{1}><text:p>{0}</text:p></table:table-cell>"


def odt(body: str, **parts: str) -> bytes:
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {NAMESPACES}><office:automatic-styles>{STYLES}'
        f"</office:automatic-styles><office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    return archive({"mimetype": LOADER.content_type, "content.xml": content, **parts})


@pytest.mark.parametrize(
    ("body", "expects"),
    [
        ('<text:p text:style-name="P1">Plan</text:p><text:h text:outline-level="2">Part</text:h>', "# Plan\n\n## Part"),
        ('<text:p>a<text:s text:c="3"/>b<text:tab/>c\n d<text:line-break/>e</text:p>', "a b c d\ne"),
        (
            "<text:p>Rent<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>net</text:p>"
            "</text:note-body></text:note> is due</text:p><text:p>next</text:p>",
            "Rent[^1] is due\n\n[^1]: net\n\nnext",
        ),
        (
            '<text:list text:style-name="L1"><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>sub'
            "</text:p></text:list-item></text:list></text:list-item><text:list-item><text:p>two</text:p></text:list-item></text:list>",
            "1. one\n   - a) sub\n2. two",
        ),
        (
            f"<table:table><table:table-header-rows><table:table-row>{CELL.format('A', '')}{CELL.format('B', '')}"
            "</table:table-row>"
            f"</table:table-header-rows><table:table-row>{CELL.format('1|', '')}<table:table-cell "
            'table:number-columns-repeated="16000"/></table:table-row></table:table>',
            "| A | B |\n| --- | --- |\n| 1\\| |  |",
        ),
        (
            "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion>"
            "</text:changed-region></text:tracked-changes><text:p><text:change-start/>new<text:change-end/>"
            "<office:annotation><text:p>remark</text:p></office:annotation></text:p>",
            "new",
        ),
        ('<text:p><text:a xlink:href="https://x.org/a">site</text:a></text:p>', "[site](https://x.org/a)"),
        ("<text:section><text:p>inside</text:p></text:section>", "inside"),
        ("<text:table-of-content><text:p>Part 3</text:p></text:table-of-content><text:p>x</text:p>", "x"),
        ("<text:p>by<draw:text-box><text:p>boxed</text:p></draw:text-box></text:p>", "by\n\nboxed"),
        ("<text:p>שלום 東京 👋</text:p>", "שלום 東京 👋"),
        ("", ""),
    ],
    ids=["headings", "blanks", "note", "list", "table", "changes-and-remarks",
         "link", "section", "contents", "box", "rtl-cjk-emoji", "empty"],
)  # fmt: skip
def test_text_says_what_a_reader_sees(tmp_path: Path, body: str, expects: str) -> None:
    assert text_of(LOADER, tmp_path, odt(body)) == expects


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            odt(
                "",
                **{"META-INF/manifest.xml": f"<manifest:file {NAMESPACES}><manifest:encryption-data/></manifest:file>"},
            ),
            "password",
        ),
        (archive({"word/document.xml": "<a/>"}), "something else"),
        (archive({"content.xml": "<a/>"}), "something else"),
        (archive({"content.xml": "<a>"}), "damaged"),
        (odt("<text:p>x</text:p>")[:-30], "damaged"),
        (archive({"content.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}), "entities"),
        (archive({"content.xml": "0" * 30_000_000}), "unpacks"),
        (odt("<text:list><text:list-item>" * 900 + "</text:list-item></text:list>" * 900), "damaged|unpacks"),
    ],
    ids=["encrypted", "word", "other-xml", "broken-xml", "truncated", "entity", "bomb", "nested-for-ever"],
)
def test_up_4_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        text_of(LOADER, tmp_path, content)


def test_up_4_repeated_rows_stay_within_bounds(tmp_path: Path) -> None:
    cell = CELL.format("x", " table:number-columns-repeated='16000'")
    row = f'<table:table-row table:number-rows-repeated="1000000">{cell}</table:table-row>'
    assert len(text_of(LOADER, tmp_path, odt(f"<table:table>{row}</table:table>"))) < 50_000
