"""Word documents: structure kept as Markdown, what is not of the text left out, what is not well refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.document import Document

from backend.loaders.docx import LOADER
from backend.loaders.port import LoadRefused
from tests.loaders.reading import archive, text_of

NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
ENDLESS = "".join(f"<w:r a='{n * 7919 % 99991}'/>" for n in range(300_000))
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def relations(*each: tuple[str, str, str]) -> str:
    rows = "".join(
        f"<Relationship Id='{key}' Type='{RELATION}/{kind}' Target='{target}'"
        + (" TargetMode='External'/>" if ":" in target else "/>")
        for key, kind, target in each
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{rows}</Relationships>'


def word(body: str, **parts: str) -> bytes:
    """A document of that body; `numbering`, `styles`, `footnotes` and `endnotes` are the insides of those parts."""
    entries = {
        "_rels/.rels": relations(("r1", "officeDocument", "word/document.xml")),
        "word/document.xml": f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": relations(
            *((f"p{n}", name, f"{name}.xml") for n, name in enumerate(parts)),
            ("web", "hyperlink", "https://example.org/terms"),
            ("js", "hyperlink", "javascript://x"),
        ),
    }
    for name, inside in parts.items():
        entries[f"word/{name}.xml"] = f"<w:{name} {NAMESPACES}>{inside}</w:{name}>"
    return archive(entries)


def p(text: str, properties: str = "") -> str:
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}<w:r><w:t>{text}</w:t></w:r></w:p>"


def read(tmp_path: Path, body: str, **parts: str) -> str:
    return text_of(LOADER, tmp_path, word(body, **parts))


LIST = "<w:numPr><w:ilvl w:val='{0}'/><w:numId w:val='1'/></w:numPr>"
NUMBERING = (
    "<w:abstractNum w:abstractNumId='7'>"
    "<w:lvl w:ilvl='0'><w:start w:val='3'/><w:numFmt w:val='decimal'/><w:lvlText w:val='%1.'/></w:lvl>"
    "<w:lvl w:ilvl='1'><w:numFmt w:val='lowerLetter'/><w:lvlText w:val='(%2)'/></w:lvl>"
    "<w:lvl w:ilvl='2'><w:numFmt w:val='bullet'/><w:lvlText w:val='o'/></w:lvl>"
    "</w:abstractNum><w:num w:numId='1'><w:abstractNumId w:val='7'/></w:num>"
)


def made_by_library(fill: Callable[[Document], Any]) -> bytes:
    document = docx.Document()
    fill(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_headings_of_custom_styles_lists_and_tables_stand_in_order(tmp_path: Path) -> None:
    def fill(document: Document) -> None:
        document.add_heading("Handbook", 0)
        chapter = document.styles.add_style("Mein Kapitel", 1)
        chapter.base_style = document.styles["Heading 2"]
        document.add_paragraph("Travel", style="Mein Kapitel")
        document.add_paragraph("Before you go:")
        for text in ("book", "pack"):
            document.add_paragraph(text, style="List Number")
        document.add_paragraph("socks", style="List Bullet 2")
        table = document.add_table(rows=2, cols=2)
        for cell, text in zip(
            (c for row in table.rows for c in row.cells), ("City", "Limit", "Rome", "90"), strict=True
        ):
            cell.text = text
        document.add_paragraph("After.")
        document.sections[0].header.paragraphs[0].text = "HEADER"
        document.sections[0].footer.paragraphs[0].text = "FOOTER"

    assert text_of(LOADER, tmp_path, made_by_library(fill)) == (
        "# Handbook\n\n## Travel\n\nBefore you go:\n\n1. book\n2. pack\n   - socks\n\n"
        "| City | Limit |\n| --- | --- |\n| Rome | 90 |\n\nAfter."
    )


@pytest.mark.parametrize(
    ("body", "expects"),
    [
        (p("Deep", "<w:outlineLvl w:val='2'/>"), "### Deep"),
        (p("Body", "<w:outlineLvl w:val='9'/>"), "Body"),
        (p("# no heading"), "\\# no heading"),
        ("<w:p><w:r><w:t>one</w:t><w:br/><w:t>two</w:t></w:r></w:p>", "one\ntwo"),
        (p("kept") + "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>", "kept"),
        (
            "<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:moveFrom><w:r><w:t>old</w:t></w:r></w:moveFrom></w:p>",
            "new",
        ),
        ("<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>unseen</w:t></w:r><w:r><w:t>seen</w:t></w:r></w:p>", "seen"),
        ("<w:p><w:r><w:t>text</w:t><w:commentReference w:id='1'/></w:r></w:p>", "text"),
        ("<w:p><w:hyperlink r:id='web'><w:r><w:t>terms</w:t></w:r></w:hyperlink></w:p>", "[terms](https://example.org/terms)"),
        ("<w:p><w:hyperlink r:id='js'><w:r><w:t>click</w:t></w:r></w:hyperlink></w:p>", "click"),
        ("<w:p><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>7</w:t></w:r></w:p>", "7"),
        (f"<w:sdt><w:sdtContent>{p('control')}</w:sdtContent></w:sdt>", "control"),
        (
            "<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val='Table of Contents'/></w:docPartObj></w:sdtPr>"
            f"<w:sdtContent>{p('Travel 3')}</w:sdtContent></w:sdt>{p('text')}",
            "text",
        ),
        (
            "<w:p><w:r><w:t>around</w:t><mc:AlternateContent><mc:Choice><w:txbxContent>" + p("boxed")
            + "</w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent>" + p("boxed")
            + "</w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>",
            "around\n\nboxed",
        ),
        (p("שלום עולם") + p("東京 👋"), "שלום עולם\n\n東京 👋"),
    ],
    ids=[
        "outline-level", "outline-of-text", "lookalike", "line-break", "deleted", "inserted-and-moved", "hidden",
        "comment", "link", "script-link", "field-code", "content-control", "contents", "text-box", "rtl-cjk-emoji",
    ],
)  # fmt: skip
def test_paragraph_says_what_a_reader_sees(tmp_path: Path, body: str, expects: str) -> None:
    assert read(tmp_path, body) == expects


def test_numbers_of_lists_are_those_that_word_shows(tmp_path: Path) -> None:
    body = "".join(
        p(text, LIST.format(level)) for text, level in [("a", 0), ("b", 1), ("c", 1), ("d", 2), ("e", 0), ("f", 1)]
    )
    assert read(tmp_path, body, numbering=NUMBERING) == ("3. a\n   - (a) b\n   - (b) c\n      - d\n4. e\n   - (a) f")


def test_numbered_heading_keeps_its_number(tmp_path: Path) -> None:
    level = "<w:lvl w:ilvl='{0}'><w:numFmt w:val='decimal'/><w:lvlText w:val='{1}'/></w:lvl>"
    numbering = (
        f"<w:abstractNum w:abstractNumId='1'>{level.format(0, '%1')}{level.format(1, '%1.%2')}</w:abstractNum>"
        "<w:num w:numId='1'><w:abstractNumId w:val='1'/></w:num>"
    )
    body = p("Scope", LIST.format(0) + "<w:outlineLvl w:val='0'/>") + p(
        "Terms", LIST.format(1) + "<w:outlineLvl w:val='1'/>"
    )
    assert read(tmp_path, body, numbering=numbering) == "# 1 Scope\n\n## 1.1 Terms"


def test_notes_are_marked_and_stand_below(tmp_path: Path) -> None:
    body = (
        "<w:p><w:r><w:t>Rent</w:t><w:footnoteReference w:id='2'/><w:t> is due</w:t>"
        "<w:endnoteReference w:id='2'/></w:r></w:p>" + p("Next.")
    )
    text = read(
        tmp_path,
        body,
        footnotes=f"<w:footnote w:type='separator' w:id='0'>{p('-')}</w:footnote>"
        f"<w:footnote w:id='2'>{p('net')}</w:footnote>",
        endnotes=f"<w:endnote w:id='2'>{p('monthly')}</w:endnote>",
    )
    assert text == "Rent[^1] is due[^2]\n\n[^1]: net\n\n[^2]: monthly\n\nNext."


def cell(inside: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inside}</w:tc>"


def table(*rows: str) -> str:
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


INNER = table(cell(p("x")) + cell(p("y")), cell(p("z")) + cell(p("w")))
WIDE, FIRST, BELOW = "<w:gridSpan w:val='2'/>", "<w:vMerge w:val='restart'/>", "<w:vMerge/>"


@pytest.mark.parametrize(
    ("body", "expects"),
    [
        (
            table(cell(p("A"), WIDE) + cell(p("B")), cell(p("1"), FIRST) + cell(p("2")) + cell(p("3|4")),
                  cell(p(""), BELOW) + cell(p("5")) + cell(p("6"))),
            "| A |  | B |\n| --- | --- | --- |\n| 1 | 2 | 3\\|4 |\n|  | 5 | 6 |",
        ),
        (
            table(cell(p("A")) + cell(p("B")), cell(p("in") + INNER)
                  + cell(p("C"))),
            "| A | B |\n| --- | --- |\n| in x, y; z, w | C |",
        ),
        (table(cell(p("Title", "<w:outlineLvl w:val='0'/>") + p("only frames"))), "# Title\n\nonly frames"),
    ],
    ids=["merged-once", "nested", "layout"],
)  # fmt: skip
def test_table_is_one(tmp_path: Path, body: str, expects: str) -> None:
    assert read(tmp_path, body) == expects


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password"),
        (OLE + bytes(600), "older kind"),
        (word(p("x"))[:-40], "damaged"),
        (word("<w:p><w:open>"), "damaged"),
        (archive({"_rels/.rels": relations(("r1", "officeDocument", "xl/workbook.xml"))}), "something else"),
        (word(f"<w:p>{ENDLESS}</w:p>"), "far too large"),
        (word("<w:tbl><w:tr><w:tc>" * 700 + p("x") + "</w:tc></w:tr></w:tbl>" * 700), "damaged|unpacks"),
    ],
    ids=["encrypted", "binary-doc", "truncated", "broken-xml", "workbook", "endless-paragraph", "nested-for-ever"],
)  # fmt: skip
def test_up_4_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(LoadRefused, match=says):
        text_of(LOADER, tmp_path, content)


def test_up_4_entities_in_utf_16_are_seen(tmp_path: Path) -> None:
    hidden = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16")
    with pytest.raises(LoadRefused, match="entities"):
        text_of(LOADER, tmp_path, archive({"word/document.xml": hidden}))


def test_up_4_lying_sizes_do_not_help(tmp_path: Path) -> None:
    content = bytearray(archive({"word/document.xml": b"0" * 30_000_000}))
    with zipfile.ZipFile(io.BytesIO(content)) as made:
        size = made.infolist()[0].file_size.to_bytes(4, "little")
    at = content.find(size)
    while at >= 0:
        content[at : at + 4] = (10).to_bytes(4, "little")
        at = content.find(size)
    with pytest.raises(LoadRefused, match=r"unpacks|damaged"):
        text_of(LOADER, tmp_path, bytes(content))


def test_empty_document_has_no_text(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ""
